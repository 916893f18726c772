use super::*;

/// Longer than anything on loopback takes; only a failing test waits so long.
const PATIENCE: Duration = Duration::from_secs(10);
/// Long enough to be sure that nothing comes.
const SILENCE: Duration = Duration::from_millis(200);

async fn echo(tasks: &Tasks) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tasks.spawn("echo", async move {
        let mut connections = JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            connections.spawn(async move {
                let (mut from, mut to) = stream.split();
                drop(tokio::io::copy(&mut from, &mut to).await);
            });
        }
    });
    address
}

/// The reply word, or an error if the proxy closes first.
async fn ask(proxy: SocketAddr, target: SocketAddr) -> io::Result<(TcpStream, u8)> {
    let mut stream = TcpStream::connect(proxy).await?;
    stream.write_all(&[5, 1, 0]).await?;
    let greeting: [u8; 2] = read(&mut stream).await?;
    assert_eq!(greeting, [5, 0]);
    let SocketAddr::V4(target) = target else { panic!("loopback of version 4") };
    stream.write_all(&[5, 1, 0, 1]).await?;
    stream.write_all(&target.ip().octets()).await?;
    stream.write_all(&target.port().to_be_bytes()).await?;
    let answer: [u8; 10] = read(&mut stream).await?;
    Ok((stream, answer[1]))
}

async fn is_silent(attempt: impl Future<Output = io::Result<(TcpStream, u8)>>) -> bool {
    tokio::time::timeout(SILENCE, attempt).await.is_err()
}

async fn says_ping(stream: &mut TcpStream) -> bool {
    stream.write_all(b"ping").await.unwrap();
    let answer = tokio::time::timeout(PATIENCE, read::<4>(stream)).await.unwrap();
    answer.is_ok_and(|bytes| &bytes == b"ping")
}

#[tokio::test]
async fn forwards_to_the_address_asked_for() {
    let tasks = Tasks::new();
    let network = RegionNetwork::start(&tasks).await.unwrap();
    let (mut stream, word) = ask(network.address(), echo(&tasks).await).await.unwrap();
    assert_eq!(word, SUCCEEDED);
    assert!(says_ping(&mut stream).await);
}

#[tokio::test]
async fn says_when_a_target_refuses() {
    let tasks = Tasks::new();
    let network = RegionNetwork::start(&tasks).await.unwrap();
    let closed = {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        listener.local_addr().unwrap()
    };
    let (_, word) = ask(network.address(), closed).await.unwrap();
    assert_eq!(word, CONNECTION_REFUSED);
}

#[tokio::test]
async fn a_cut_silences_everything_until_it_is_restored() {
    let tasks = Tasks::new();
    let network = RegionNetwork::start(&tasks).await.unwrap();
    let target = echo(&tasks).await;
    let (mut open, _) = ask(network.address(), target).await.unwrap();
    network.cut();
    let end = tokio::time::timeout(PATIENCE, open.read(&mut [0; 8])).await;
    assert_eq!(end.expect("the open connection ends").unwrap_or(0), 0);
    assert!(is_silent(ask(network.address(), target)).await);
    network.restore();
    let (mut stream, word) = ask(network.address(), target).await.unwrap();
    assert_eq!(word, SUCCEEDED);
    assert!(says_ping(&mut stream).await);
}

#[tokio::test]
async fn a_black_hole_swallows_one_target_only() {
    let tasks = Tasks::new();
    let network = RegionNetwork::start(&tasks).await.unwrap();
    let (lost, fine) = (echo(&tasks).await, echo(&tasks).await);
    network.black_hole(lost);
    assert!(is_silent(ask(network.address(), lost)).await);
    let (mut stream, _) = ask(network.address(), fine).await.unwrap();
    assert!(says_ping(&mut stream).await);
    network.restore();
    assert_eq!(ask(network.address(), lost).await.unwrap().1, SUCCEEDED);
}

#[tokio::test]
async fn refuses_what_it_does_not_do() {
    let tasks = Tasks::new();
    let network = RegionNetwork::start(&tasks).await.unwrap();
    let mut stream = TcpStream::connect(network.address()).await.unwrap();
    // Only user name and password on offer.
    stream.write_all(&[5, 1, 2]).await.unwrap();
    assert_eq!(read::<2>(&mut stream).await.unwrap(), [5, NO_METHOD]);
    let mut stream = TcpStream::connect(network.address()).await.unwrap();
    // BIND instead of CONNECT.
    stream.write_all(&[5, 1, 0, 5, 2, 0, 1]).await.unwrap();
    assert_eq!(read::<2>(&mut stream).await.unwrap(), [5, 0]);
    assert_eq!(read::<10>(&mut stream).await.unwrap()[1], COMMAND_NOT_SUPPORTED);
}
