//! What an application asks of a running node, over real QUIC: who has it, and how far peers are.

use std::time::Duration;

use basefs::fs::{PeerReport, Serving};
use basefs::net::{ReplicationError, SynchroniseError};
use basefs::node::Standing;
use basefs::store::StoreError;
use basefs::{Fs, OpenError};
use tokio::runtime::Runtime;
use tokio::time::{Instant, sleep, timeout};

use super::network::{PATIENCE, serve};

const SHORT: Duration = Duration::from_millis(300);

/// A founder on the network, with a file.
async fn founder() -> (Fs, Serving) {
    let fs = Fs::in_memory().unwrap();
    fs.write("/motd", "hello").unwrap();
    let node = serve(&fs).await;
    (fs, node)
}

fn join(node: &Serving) -> Fs {
    Fs::builder().join(&node.ticket()).open().unwrap()
}

/// What a node knows of another.
fn report(node: &Serving, of: &Fs) -> Option<PeerReport> {
    node.status().peers.into_iter().find(|report| report.peer.node == of.node())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_is_waited_for_until_enough_have_it() {
    let (fs, node) = founder().await;
    let alone = node.wait_replicated(None, 1, SHORT).await;
    assert_eq!(alone, Err(ReplicationError::TimedOut { reached: 0 }));
    assert_eq!(node.wait_replicated(None, 0, SHORT).await, Ok(vec![]), "nobody was asked for");

    let (second, third) = (join(&node), join(&node));
    let at_second = serve(&second).await;
    assert_eq!(node.wait_replicated(None, 1, PATIENCE).await, Ok(vec![second.node()]));
    let short_of_one = node.wait_replicated(None, 2, SHORT).await;
    assert_eq!(short_of_one, Err(ReplicationError::TimedOut { reached: 1 }));

    // The third comes while somebody waits for it.
    fs.write("/motd", "good morning").unwrap();
    let version = fs.version().unwrap();
    let waiting = node.wait_replicated(Some(&version), 2, PATIENCE);
    let coming = async {
        sleep(SHORT).await;
        serve(&third).await
    };
    let (reached, at_third) = tokio::join!(waiting, coming);
    let mut both = vec![second.node(), third.node()];
    both.sort_unstable();
    assert_eq!(reached, Ok(both));
    assert_eq!(third.read("/motd").unwrap(), "good morning", "it is true");

    // The others may ask as well: by now the third may have met the second, and either may be the
    // first to answer. A version that is nowhere is nobody's.
    let others = at_third.wait_replicated(Some(&version), 1, PATIENCE).await.unwrap();
    let had_it = [fs.node(), second.node()];
    assert!(!others.is_empty() && others.iter().all(|one| had_it.contains(one)), "{others:?}");
    let other = Fs::in_memory().unwrap();
    other.write("/x", "").unwrap();
    let nowhere = node.wait_replicated(Some(&other.version().unwrap()), 1, SHORT).await;
    assert_eq!(nowhere, Err(ReplicationError::TimedOut { reached: 0 }));
    at_second.shutdown().await.unwrap();
    at_third.shutdown().await.unwrap();
}

/// Runs a replica on a runtime of its own, which can be killed without a word to its peers.
fn serve_apart(fs: &Fs) -> (Runtime, Serving) {
    let runtime = Runtime::new().unwrap();
    let fs = fs.clone();
    let node = std::thread::scope(|scope| {
        let started = scope.spawn(|| runtime.block_on(serve(&fs)));
        started.join().unwrap()
    });
    (runtime, node)
}

/// Opens a replica once the threads of who was killed have let go of it.
async fn reopen(dir: &std::path::Path) -> Fs {
    let opening = async {
        loop {
            match Fs::open(dir) {
                Err(OpenError::Store(StoreError::Locked { .. })) => sleep(SHORT / 10).await,
                opened => return opened.unwrap(),
            }
        }
    };
    timeout(PATIENCE, opening).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_node_counts_for_what_it_told_and_is_asked_again_when_it_is_back() {
    let (fs, node) = founder().await;
    let dir = tempfile::tempdir().unwrap();
    let (second, third) = (Fs::join(dir.path(), &node.ticket()).unwrap(), join(&node));
    let (runtime, at_second) = serve_apart(&second);
    let at_third = serve(&third).await;
    assert_eq!(node.wait_replicated(None, 2, PATIENCE).await.unwrap().len(), 2);

    runtime.shutdown_background();
    drop((at_second, second));
    fs.write("/motd", "good evening").unwrap();
    let version = fs.version().unwrap();
    let one = node.wait_replicated(Some(&version), 1, PATIENCE).await;
    assert_eq!(one, Ok(vec![third.node()]), "the killed one is not waited for");
    let two = node.wait_replicated(Some(&version), 2, SHORT).await;
    assert_eq!(two, Err(ReplicationError::TimedOut { reached: 1 }));

    // Opened again, it is asked on its new connection, and one that has told may go.
    let waiting = node.wait_replicated(Some(&version), 2, PATIENCE);
    let back = async {
        sleep(SHORT).await;
        at_third.leave().await.unwrap();
        let second = reopen(dir.path()).await;
        let at_second = serve(&second).await;
        (second, at_second)
    };
    let (reached, (second, at_second)) = tokio::join!(waiting, back);
    assert_eq!(reached.unwrap().len(), 2);
    assert_eq!(second.read("/motd").unwrap(), "good evening");
    at_second.shutdown().await.unwrap();
    node.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn many_wait_at_the_same_time() {
    let (fs, node) = founder().await;
    let node = std::sync::Arc::new(node);
    let second = join(&node);
    let at_second = serve(&second).await;
    let writers: Vec<_> = (0..200)
        .map(|at| {
            let (fs, node) = (fs.clone(), node.clone());
            tokio::spawn(async move {
                tokio::task::block_in_place(|| fs.write(format!("/{at}"), "x")).unwrap();
                node.wait_replicated(None, 1, PATIENCE).await
            })
        })
        .collect();
    for writer in writers {
        assert_eq!(writer.await.unwrap(), Ok(vec![second.node()]));
    }
    assert_eq!(second.entries(), fs.entries());
    at_second.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_says_who_is_how_far_and_what_is_missing() {
    let (fs, node) = founder().await;
    fs.write("/large", vec![7; 500_000]).unwrap();
    let second = join(&node);
    // Everything but the first entry and the contents came by other means.
    for entry in fs.export().skip(2) {
        second.admit(&entry.unwrap()).unwrap();
    }
    let at_second = serve(&second).await;
    let before = report(&at_second, &fs).unwrap();
    assert!(matches!(before.standing, Standing::Unknown | Standing::Equal), "{before:?}");
    at_second.wait_synced(PATIENCE).await.unwrap();
    let after = report(&at_second, &fs).unwrap();
    assert_eq!(after.standing, Standing::Equal);
    assert!(after.since < PATIENCE && after.peer.link.is_some());
    let status = at_second.status();
    assert_eq!((status.entries, status.unstored), (fs.entries(), 0));
    assert_eq!((status.wanted, status.oldest_wanted, status.waiting), (0, None, 0));

    // Without anybody who has it, it says what it lacks.
    let third = join(&node);
    for entry in fs.export().skip(1) {
        third.admit(&entry.unwrap()).unwrap();
    }
    node.shutdown().await.unwrap();
    let at_third = serve(&third).await;
    let status = at_third.status();
    assert!(status.waiting > 0 && !status.missing.is_empty(), "{status:?}");
    assert_eq!(status.entries, 0);
    assert_eq!(report(&at_third, &fs).unwrap().standing, Standing::Unknown);
}

#[tokio::test(flavor = "multi_thread")]
async fn comparing_now_waits_for_nobody_to_come() {
    let (fs, node) = founder().await;
    let start = Instant::now();
    assert_eq!(node.sync_now(PATIENCE).await, Err(SynchroniseError::NotConnected));
    assert!(start.elapsed() < PATIENCE / 2);
    let second = Fs::builder().join(&fs.ticket(vec![])).open().unwrap();
    let at_second = serve(&second).await;
    at_second.join(&node.ticket()).unwrap();
    at_second.wait_synced(PATIENCE).await.unwrap();
    fs.write("/motd", "again").unwrap();
    node.sync_now(PATIENCE).await.unwrap();
    assert_eq!(second.read("/motd").unwrap(), "again");
    at_second.leave().await.unwrap();

    // Whom it joined, it finds again.
    let at_second = serve(&second).await;
    at_second.wait_synced(PATIENCE).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_served_again_keeps_its_time() {
    let (fs, node) = founder().await;
    let second = join(&node);
    let at_second = serve(&second).await;
    at_second.wait_synced(PATIENCE).await.unwrap();
    sleep(SHORT).await;
    at_second.shutdown().await.unwrap();
    let at_second = serve(&second).await;
    at_second.wait_synced(PATIENCE).await.unwrap();
    let since = report(&at_second, &fs).unwrap().since;
    assert!(since >= SHORT, "they have been equal all the time, not for {since:?}");
}
