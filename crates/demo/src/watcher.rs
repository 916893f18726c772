//! Follows the coordinator's API as any client would.

use std::time::Duration;

use quorate_proto::v1;
use quorate_proto::v1::check_service_client::CheckServiceClient;
use quorate_proto::v1::watch_checks_response::Event;
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

/// Time between two looks at all ballots.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Most checks of a demo.
const CHECKS_MAX: i32 = 1_000;

/// What a watcher saw.
#[derive(Debug)]
pub(crate) enum Sight {
    /// A check whose verdict has changed, or as it was at first.
    Check(Box<v1::Check>),
    /// All checks with the latest ballots, to look at.
    Ballots(Vec<v1::Check>),
}

/// Opens a way to the coordinator.
///
/// # Cancellation
///
/// Dropping it gives the attempt up.
pub(crate) async fn connect(
    api: &str,
) -> Result<CheckServiceClient<Channel>, tonic::transport::Error> {
    let channel = Endpoint::from_shared(api.to_owned())?.connect().await?;
    Ok(CheckServiceClient::new(channel))
}

/// Sends every change of a verdict until the stream breaks, and says why it did.
///
/// # Cancellation
///
/// Dropping it stops watching.
pub(crate) async fn watch(
    mut client: CheckServiceClient<Channel>,
    sights: mpsc::Sender<Sight>,
) -> Status {
    loop {
        let request =
            v1::WatchChecksRequest { names: Vec::new(), view: v1::CheckView::Full.into() };
        let mut events = match client.watch_checks(request).await {
            Ok(answer) => answer.into_inner(),
            Err(status) => return status,
        };
        let end = loop {
            match events.next().await {
                Some(Ok(event)) => match event.event {
                    Some(Event::Snapshot(check) | Event::Change(check)) => {
                        if sights.send(Sight::Check(Box::new(check))).await.is_err() {
                            return Status::cancelled("nobody watches any more");
                        }
                    }
                    Some(Event::Synced(_) | Event::KeepAlive(_)) | None => {}
                },
                Some(Err(status)) => break status,
                None => break Status::unavailable("the stream has ended"),
            }
        };
        // A watcher that was too slow begins anew with a snapshot.
        if end.code() != Code::ResourceExhausted {
            return end;
        }
    }
}

/// Looks at all ballots twice a second, for the table on the screen.
///
/// # Cancellation
///
/// Dropping it stops looking.
pub(crate) async fn look(mut client: CheckServiceClient<Channel>, sights: mpsc::Sender<Sight>) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    loop {
        ticks.tick().await;
        let request = v1::ListChecksRequest {
            page_size: CHECKS_MAX,
            view: v1::CheckView::Full.into(),
            ..Default::default()
        };
        // One look that fails is followed by another; the watcher says when all is over.
        let Ok(answer) = client.list_checks(request).await else {
            continue;
        };
        if sights.send(Sight::Ballots(answer.into_inner().checks)).await.is_err() {
            return;
        }
    }
}
