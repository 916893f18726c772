//! The rows.

use super::StatusCode;
use super::StatusOutcome::{self, Blocked, Fail, Followed, Interim, Ok, OkAfter};
use crate::BlockReason;

const fn row(
    code: u16,
    name: &'static str,
    means: &'static str,
    responsible: &'static str,
    outcome: StatusOutcome,
    advice: &'static str,
) -> StatusCode {
    StatusCode { code, name, means, responsible, outcome, advice }
}

/// In order of the codes.
#[rustfmt::skip] // a table is read a row a line
pub(super) const CODES: &[StatusCode] = &[
    row(100, "Continue", "go on with the request's body", "", Interim, ""),
    row(101, "Switching Protocols", "the connection speaks another protocol from here on", "", Interim, "an HTTP check that meets it asked for an upgrade: use the kind of that protocol"),
    row(102, "Processing", "still at work", "", Interim, ""),
    row(103, "Early Hints", "headers to prepare with; the answer follows", "", Interim, ""),
    row(104, "Upload Resumption Supported", "an upload can be resumed", "", Interim, ""),
    row(200, "OK", "served as asked", "", Ok, ""),
    row(201, "Created", "created, usually after POST; Location names the resource", "", Ok, ""),
    row(202, "Accepted", "taken in, not done yet", "", Ok, ""),
    row(203, "Non-Authoritative Information", "served, but changed by a proxy on the way", "", Ok, ""),
    row(204, "No Content", "done, without a body", "", Ok, ""),
    row(205, "Reset Content", "done; the form is to be cleared", "", Ok, ""),
    row(206, "Partial Content", "part of the resource, for a Range request", "", OkAfter(&["range"]), "a server that sends it unasked is broken: look at caches and proxies in front of it"),
    row(207, "Multi-Status", "several answers in one (WebDAV)", "", Ok, ""),
    row(208, "Already Reported", "listed before in the same answer (WebDAV)", "", Ok, ""),
    row(226, "IM Used", "a difference to what the client holds", "", Ok, ""),
    row(300, "Multiple Choices", "several forms to choose from", "server config", Fail, "name the form in the check's URL or Accept header"),
    row(301, "Moved Permanently", "moved for good; clients may turn POST into GET", "server config", Followed, "update the check to the new URL"),
    row(302, "Found", "elsewhere for now", "server config", Followed, "expected for sign-in pages and locales; ask for the final URL if it should not move"),
    row(303, "See Other", "see another resource, always with GET", "server config", Followed, "expected after POST"),
    row(304, "Not Modified", "unchanged since the validator that was sent", "", OkAfter(&["if-none-match", "if-modified-since"]), "a server that sends it unasked is broken: look at caches in front of it"),
    row(305, "Use Proxy", "to be reached by a proxy only (deprecated)", "server config", Fail, "no client follows it any more: remove it from the server"),
    row(306, "(Unused)", "reserved", "server config", Fail, "find out what sends it"),
    row(307, "Temporary Redirect", "elsewhere for now; the method stays", "server config", Followed, "ask for the final URL if it should not move"),
    row(308, "Permanent Redirect", "moved for good; the method stays", "server config", Followed, "update the check to the new URL"),
    row(400, "Bad Request", "the request is malformed", "client", Fail, "check the check's own body, headers and Host"),
    row(401, "Unauthorized", "no valid credentials", "client, auth", Fail, "credentials missing or expired: the check's or the service's"),
    row(402, "Payment Required", "an account is out of credit", "account", Fail, "look at the account's plan and bills"),
    row(403, "Forbidden", "understood and refused", "server, permissions", Blocked(BlockReason::Forbidden), "firewall, WAF, geo-block, file permissions; allow-list the agents"),
    row(404, "Not Found", "no such resource", "URL or routing", Fail, "wrong URL, lost route, bad deploy"),
    row(405, "Method Not Allowed", "the method is not allowed; Allow lists which are", "client", Fail, "use a method that Allow lists"),
    row(406, "Not Acceptable", "no form that the client accepts", "client", Fail, "check the Accept headers of the check"),
    row(407, "Proxy Authentication Required", "the proxy wants credentials", "proxy, auth", Fail, "give the proxy's credentials to the check or the agent's egress"),
    row(408, "Request Timeout", "the server tired of waiting for the request", "client or network", Fail, "slow path, or a small timeout of the server"),
    row(409, "Conflict", "in conflict with the state of the resource", "client", Fail, "a request that changes things is sent twice: use one that can be repeated"),
    row(410, "Gone", "gone on purpose", "URL", Fail, "retire the check, or restore the resource"),
    row(411, "Length Required", "no Content-Length", "client", Fail, "send a body with its length"),
    row(412, "Precondition Failed", "a condition of the request does not hold", "client", Fail, "check the If-Match and If-Unmodified-Since headers of the check"),
    row(413, "Content Too Large", "the body is larger than allowed", "client or server config", Fail, "smaller body, or a higher limit of the server or its proxy"),
    row(414, "URI Too Long", "the URL is longer than allowed", "client", Fail, "shorten the query; look for a redirect that grows it"),
    row(415, "Unsupported Media Type", "the body's type is not understood", "client", Fail, "check the Content-Type of the check"),
    row(416, "Range Not Satisfiable", "the range lies outside the resource", "client", Fail, "the resource has shrunk, or the check's Range is wrong"),
    row(417, "Expectation Failed", "an Expect header cannot be met", "client or proxy", Fail, "do not send Expect; look at proxies"),
    row(418, "(Unused)", "reserved; some servers send it to unwanted clients", "server, permissions", Fail, "bot protection: allow-list the agents"),
    row(421, "Misdirected Request", "this server does not answer for that name", "proxy or certificate", Fail, "SNI and Host differ, or the proxy routes to the wrong server"),
    row(422, "Unprocessable Content", "well-formed, semantically wrong", "client", Fail, "the fields that the body names"),
    row(423, "Locked", "the resource is locked (WebDAV)", "client", Fail, "a lock that nobody released"),
    row(424, "Failed Dependency", "a request that this one depends on failed (WebDAV)", "client", Fail, "look at the first failure"),
    row(425, "Too Early", "not in early data, which could be replayed", "client", Fail, "send it after the handshake"),
    row(426, "Upgrade Required", "another protocol is required; Upgrade says which", "client", Fail, "a newer HTTP or TLS version"),
    row(428, "Precondition Required", "the request must be conditional", "client", Fail, "send If-Match"),
    row(429, "Too Many Requests", "too many requests; Retry-After says when", "client, rate limit", Blocked(BlockReason::RateLimit), "lower the rate, honour Retry-After, allow-list the agents"),
    row(431, "Request Header Fields Too Large", "the headers are larger than allowed", "client", Fail, "cookies or tokens that grow"),
    row(451, "Unavailable For Legal Reasons", "refused for legal reasons", "server, law", Blocked(BlockReason::Forbidden), "blocked in these countries: choose the regions of the check"),
    row(500, "Internal Server Error", "unspecific server error", "application", Fail, "read the server's error log"),
    row(501, "Not Implemented", "the server does not know the method", "client or server", Fail, "wrong method, or the wrong server answers"),
    row(502, "Bad Gateway", "the gateway got a bad answer from upstream", "proxy or backend", Fail, "application process dead, wrong port or socket"),
    row(503, "Service Unavailable", "temporarily unable; may carry Retry-After", "capacity or maintenance", Fail, "overload, deploy, maintenance mode"),
    row(504, "Gateway Timeout", "the gateway got no answer in time", "slow backend", Fail, "slow query, pool exhausted, small timeout of the proxy"),
    row(505, "HTTP Version Not Supported", "the HTTP version is not supported", "server config", Fail, "old proxy in front, or a check that fixes a version"),
    row(506, "Variant Also Negotiates", "the server's content negotiation is circular", "server config", Fail, "mend the negotiation's configuration"),
    row(507, "Insufficient Storage", "no room to store", "server, disk", Fail, "free or add disk space"),
    row(508, "Loop Detected", "the server ran in a circle (WebDAV)", "server config", Fail, "a link that leads back to itself"),
    row(510, "Not Extended", "an extension is required (obsolete)", "server config", Fail, "find out what sends it"),
    row(511, "Network Authentication Required", "the network wants a sign-in", "network of the agent", Fail, "a captive portal between the agent and the world: see the agent's network"),
    row(520, "Web Server Returned an Unknown Error", "the origin answered something that makes no sense", "origin (the edge is fine)", Fail, "crashing application, headers too large, empty answer"),
    row(521, "Web Server Is Down", "the origin refused the connection", "origin (the edge is fine)", Fail, "origin process, firewall against the delivery network's addresses"),
    row(522, "Connection Timed Out", "no connection to the origin in time", "origin (the edge is fine)", Fail, "overloaded origin, firewall that drops the delivery network's addresses"),
    row(523, "Origin Is Unreachable", "no route to the origin", "origin (the edge is fine)", Fail, "wrong address in the DNS of the delivery network, routing"),
    row(524, "A Timeout Occurred", "connected, but no answer of the origin in time", "origin (the edge is fine)", Fail, "long requests: make them asynchronous; slow queries"),
    row(525, "SSL Handshake Failed", "no TLS handshake with the origin", "origin (the edge is fine)", Fail, "TLS version, ciphers or certificate of the origin"),
    row(526, "Invalid SSL Certificate", "the origin's certificate is not valid", "origin (the edge is fine)", Fail, "expired, self-signed or wrong name at the origin"),
    row(527, "Railgun Listener to Origin Error", "the delivery network's tunnel to the origin failed (retired)", "origin (the edge is fine)", Fail, "remove the tunnel"),
    row(530, "Origin Error with a 1xxx Code", "the delivery network could not resolve or reach the origin; the body has a 1xxx code", "origin (the edge is fine)", Fail, "read the 1xxx code in the body: often the DNS of the origin"),
];

/// What holds for a code without a row of its own.
#[rustfmt::skip] // a table is read a row a line
pub(super) const CLASSES: &[StatusCode] = &[
    row(100, "informational", "the answer follows", "", Interim, ""),
    row(200, "successful", "as asked", "", Ok, ""),
    row(300, "redirection", "further action is needed", "server config", Fail, "a redirect that clients do not follow: see the Location header"),
    row(400, "client error", "the request cannot be fulfilled", "client", Fail, "check the request of the check"),
    row(500, "server error", "the server failed", "server", Fail, "read the server's error log"),
];
