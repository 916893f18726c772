//! What a probe found.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::words::words;

words! {
    /// A part of a probe, in the order in which they happen.
    Phase {
        /// Waiting for a name to be resolved.
        Dns = "dns",
        /// Opening a TCP connection, through the agent's egress proxy if it has one.
        Connect = "connect",
        /// The TLS handshake.
        Tls = "tls",
        /// Sending the request.
        Send = "send",
        /// From the request sent to the first byte of the answer.
        Ttfb = "ttfb",
        /// From the first to the last byte of the answer.
        Transfer = "transfer",
        /// Judging the complete answer.
        Assert = "assert",
    }
}

words! {
    /// Why a probe failed.
    Reason {
        /// The time was up.
        Timeout = "timeout",
        /// The connection was refused.
        Refused = "refused",
        /// The peer reset or closed the connection before it had answered.
        Reset = "reset",
        /// No route to the address.
        Unreachable = "unreachable",
        /// The name does not exist (NXDOMAIN).
        NameNotFound = "name_not_found",
        /// The name exists without an address of the wanted family (NODATA).
        NoAddress = "no_address",
        /// The resolver answered with an error or not in time.
        DnsFailed = "dns_failed",
        /// The name exists without records of the wanted type (NODATA).
        NoRecords = "no_records",
        /// The records of a DNS answer are not as expected.
        Answer = "answer",
        /// The name leads to what does not exist, or to what anybody may claim.
        Dangling = "dangling",
        /// The certificate has expired.
        CertExpired = "cert_expired",
        /// The certificate is not valid yet.
        CertNotYetValid = "cert_not_yet_valid",
        /// The certificate's issuer is not trusted.
        CertUntrusted = "cert_untrusted",
        /// The certificate is self-signed.
        CertSelfSigned = "cert_self_signed",
        /// The certificate is for other names.
        CertHostMismatch = "cert_host_mismatch",
        /// The server does not send the certificate of its certificate's issuer.
        CertIncompleteChain = "cert_incomplete_chain",
        /// The certificate has been revoked.
        CertRevoked = "cert_revoked",
        /// The server wants a certificate of the client's: there is none, or it refuses it.
        TlsClientCert = "tls_client_cert",
        /// The certificate is valid, but ends sooner than asserted.
        CertExpiresSoon = "cert_expires_soon",
        /// The certificate's key is of another type, or shorter, than asserted.
        CertWeak = "cert_weak",
        /// The certificate is not one of those pinned.
        CertNotPinned = "cert_not_pinned",
        /// The server sent no proof that its certificate is not revoked (OCSP staple).
        OcspMissing = "ocsp_missing",
        /// No TLS version in common, or an older one than asserted.
        TlsVersion = "tls_version",
        /// The TLS handshake failed in another way.
        TlsHandshake = "tls_handshake",
        /// What came is not the protocol that was expected.
        Protocol = "protocol",
        /// A redirect without a usable `Location`, or to a scheme other than http and https.
        RedirectInvalid = "redirect_invalid",
        /// A redirect from https to http.
        RedirectDowngrade = "redirect_downgrade",
        /// More redirects than allowed, or a loop.
        RedirectLimit = "redirect_limit",
        /// The body ended early or its framing is broken.
        BodyIncomplete = "body_incomplete",
        /// The body is compressed in a way that cannot be undone, or its coding is broken.
        Encoding = "encoding",
        /// No token for the request could be had.
        Auth = "auth",
        /// The part of the resource that was asked for is not what came.
        Range = "range",
        /// The status code is not one of those expected.
        Status = "status",
        /// A header is not as expected.
        Header = "header",
        /// The body is not as expected.
        Body = "body",
        /// A JSON value in the body is not as expected.
        Json = "json",
        /// The RPC ended with another status than asserted.
        GrpcStatus = "grpc_status",
        /// The service says of itself that it does not serve.
        NotServing = "not_serving",
        /// The connection was closed with another code than asserted.
        CloseCode = "close_code",
        /// More packets were lost than allowed.
        Loss = "loss",
        /// The certificate, or what was agreed on by TLS, is not as expected.
        Certificate = "certificate",
        /// The address that answered is not one of those expected.
        Address = "address",
        /// The URL that the redirects led to is not the one expected.
        Url = "url",
        /// The body is shorter or longer than expected.
        Size = "size",
        /// The answer was complete, but slower than asserted.
        Latency = "latency",
    }
}

words! {
    /// How a target that answered kept the probe from its answer.
    BlockReason {
        /// Too many requests: status 429.
        RateLimit = "rate_limit",
        /// Understood and refused: status 403 or 451.
        Forbidden = "forbidden",
    }
}

words! {
    /// Why an agent does not trust its own probe.
    Doubt {
        /// The agent's self-test says that its network is cut off.
        Island = "island",
        /// The agent is overloaded: its own timers are late, or its means are used up.
        Overloaded = "agent_overloaded",
        /// The agent's local policy forbids the probe.
        PolicyDenied = "policy_denied",
        /// The operating system does not let the agent open the socket that the probe needs.
        NoPrivilege = "no_privilege",
        /// A secret that the check needs is not there.
        NoSecret = "no_secret",
        /// The agent stopped before the probe had finished.
        Cancelled = "cancelled",
        /// The agent itself failed.
        Internal = "internal",
    }
}

/// What one probe found. A target that is down is data, never an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Outcome {
    /// All is as the check expects.
    Ok,
    /// As expected, but slower than the check's `slow_after`.
    Slow,
    /// Not as expected.
    Fail {
        /// Where it failed.
        phase: Phase,
        /// How it failed.
        reason: Reason,
    },
    /// The target answered, but kept its answer back.
    Blocked {
        /// How.
        reason: BlockReason,
    },
    /// The agent doubts itself: no statement about the target, and no vote.
    Inconclusive {
        /// Why.
        reason: Doubt,
    },
}

impl Outcome {
    /// The word for the outcome alone, without its reason.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Slow => "slow",
            Self::Fail { .. } => "fail",
            Self::Blocked { .. } => "blocked",
            Self::Inconclusive { .. } => "inconclusive",
        }
    }

    /// Whether the target did what the check expects (`ok` or `slow`).
    pub const fn is_success(self) -> bool {
        matches!(self, Self::Ok | Self::Slow)
    }

    /// Whether this outcome speaks against the target.
    pub const fn is_fail(self) -> bool {
        matches!(self, Self::Fail { .. })
    }
}

/// `ok`, `slow`, `fail (connect: timeout)`, `blocked (rate_limit)`, `inconclusive (island)`.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok | Self::Slow => f.pad(self.word()),
            Self::Fail { phase, reason } => write!(f, "fail ({phase}: {reason})"),
            Self::Blocked { reason } => write!(f, "blocked ({reason})"),
            Self::Inconclusive { reason } => write!(f, "inconclusive ({reason})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_serde() {
        for reason in Reason::ALL {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
            assert_eq!(Reason::from_word(reason.as_str()), Some(*reason));
        }
        for doubt in Doubt::ALL {
            assert_eq!(Doubt::from_word(doubt.as_str()), Some(*doubt));
        }
        assert_eq!(Phase::from_word("nonsense"), None);
    }
}
