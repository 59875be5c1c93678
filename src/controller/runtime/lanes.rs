//! A bounded queue with a few workers behind it. Whoever puts something into it never waits, and what belongs together is worked on in its order.

use futures::future::join_all;
use std::future::Future;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio_util::sync::CancellationToken;

/// The end at which things are put in. There is a lane for each worker; things with the same key are in the same lane, one behind the other.
#[derive(Debug)]
pub struct Intake<T>(Vec<Sender<T>>);

/// The end at which the workers are.
#[derive(Debug)]
pub struct Lanes<T>(Vec<Receiver<T>>);

/// What is done with each thing of one lane.
pub trait Worker<T>: Send {
    /// Works on a thing. `is_last`: its lane is empty behind it.
    fn work(&mut self, thing: T, is_last: bool) -> impl Future<Output = ()> + Send;
}

/// So many lanes (at least one), each with room for so many things (at least one).
pub fn lanes<T>(lanes: usize, room: usize) -> (Intake<T>, Lanes<T>) {
    let (senders, receivers) = (0..lanes.max(1)).map(|_| channel(room.max(1))).unzip();
    (Intake(senders), Lanes(receivers))
}

impl<T> Intake<T> {
    /// Puts a thing in, and answers whether it had room. `spare`: how much room has to be left behind it, for what is of more weight.
    pub fn push(&self, key: &str, thing: T, spare: usize) -> bool {
        let number = key.bytes().fold(0_usize, |number, byte| number.wrapping_mul(31).wrapping_add(byte.into()));
        let lane = self.0.get(number % self.0.len());
        lane.is_some_and(|lane| lane.capacity() > spare && lane.try_send(thing).is_ok())
    }
}

impl<T: Send> Lanes<T> {
    /// Has each lane worked through by a worker of its own, until `ended` is cancelled and what is in the lanes then is done, too.
    pub async fn run<W: Worker<T>>(self, ended: &CancellationToken, worker: impl Fn() -> W) {
        join_all(self.0.into_iter().map(|lane| run(lane, ended, worker()))).await;
    }
}

async fn run<T: Send, W: Worker<T>>(mut lane: Receiver<T>, ended: &CancellationToken, mut worker: W) {
    loop {
        let next = tokio::select! {
            next = lane.recv() => next,
            // Takes nothing more, and gives out what it has.
            () = ended.cancelled(), if !lane.is_closed() => {
                lane.close();
                continue;
            }
        };
        let Some(thing) = next else { return };
        worker.work(thing, lane.is_empty()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        collections::BTreeSet,
        sync::{Arc, Mutex},
        time::Duration,
    };
    use tokio::time::{sleep, timeout};
    use tokio_util::task::AbortOnDropHandle;

    const LANES: usize = 2;
    const ROOM: usize = 10;
    /// How long a worker takes for a thing.
    const WORK: Duration = Duration::from_secs(1);

    /// A key and a number.
    type Thing = (String, usize);

    /// What became of the things, in the order in which they were done; and how many were under way at once.
    #[derive(Clone, Default)]
    struct Done(Arc<Mutex<(Vec<Thing>, usize, usize)>>);

    impl Worker<Thing> for Done {
        async fn work(&mut self, thing: Thing, _is_last: bool) {
            {
                let (_, now, most) = &mut *self.0.lock().unwrap();
                *now += 1;
                *most = (*most).max(*now);
            }
            sleep(WORK).await;
            let (done, now, _) = &mut *self.0.lock().unwrap();
            done.push(thing);
            *now -= 1;
        }
    }

    impl Done {
        fn of(&self, key: &str) -> Vec<usize> {
            self.0.lock().unwrap().0.iter().filter(|(of, _)| of == key).map(|(_, number)| *number).collect()
        }

        fn count(&self) -> usize {
            self.0.lock().unwrap().0.len()
        }

        fn most_at_once(&self) -> usize {
            self.0.lock().unwrap().2
        }
    }

    struct Started {
        intake: Intake<Thing>,
        done: Done,
        ended: CancellationToken,
        task: AbortOnDropHandle<()>,
    }

    fn start() -> Started {
        let (intake, lanes) = lanes(LANES, ROOM);
        let (done, ended) = (Done::default(), CancellationToken::new());
        let (worker, until) = (done.clone(), ended.clone());
        let task = AbortOnDropHandle::new(tokio::spawn(async move { lanes.run(&until, || worker.clone()).await }));
        Started { intake, done, ended, task }
    }

    fn push(intake: &Intake<Thing>, key: &str, number: usize) -> bool {
        intake.push(key, (key.to_owned(), number), 0)
    }

    #[tokio::test(start_paused = true)]
    async fn things_of_one_key_stay_in_their_order_and_a_few_are_under_way_at_once() {
        let Started { intake, done, ended: _ended, task: _task } = start();
        let keys = ["u-1", "u-2", "u-3", "u-4"];
        for number in 0..3 {
            assert!(keys.iter().all(|key| push(&intake, key, number)));
        }
        sleep(WORK * 20).await;
        assert!(keys.iter().all(|key| done.of(key) == [0, 1, 2]));
        assert_eq!(done.most_at_once(), LANES);
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_queue_takes_nothing_more_and_holds_nobody() {
        let (intake, lanes) = lanes(LANES, ROOM);
        // Nobody works yet.
        let taken: Vec<usize> = (0..100).filter(|number| push(&intake, "u-1", *number)).collect();
        assert_eq!(taken, (0..ROOM).collect::<Vec<_>>(), "what came first is kept");
        let other = (0..100).map(|number| format!("u-{number}")).find(|key| push(&intake, key, 0));
        assert!(other.is_some(), "another lane has room");
        let (done, ended) = (Done::default(), CancellationToken::new());
        ended.cancel();
        lanes.run(&ended, || done.clone()).await;
        assert_eq!((done.of("u-1"), done.count()), (taken, ROOM + 1));
    }

    #[tokio::test(start_paused = true)]
    async fn room_is_left_for_what_is_of_more_weight() {
        let (intake, _lanes) = lanes(1, ROOM);
        let taken = |spare| (0..100).filter(|number| intake.push("u-1", ("u-1".to_owned(), *number), spare)).count();
        assert_eq!((taken(4), taken(4), taken(0), taken(0)), (6, 0, 4, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_in_the_queue_at_the_end_is_done_and_nothing_is_taken_after_it() {
        let Started { intake, done, ended, task } = start();
        let keys: BTreeSet<String> = (0..8).map(|number| format!("u-{number}")).collect();
        assert!(keys.iter().all(|key| push(&intake, key, 0)));
        ended.cancel();
        timeout(WORK * 8, task).await.expect("it ends by itself").expect("no panic");
        assert!(keys.iter().all(|key| done.of(key) == [0]));
        assert!(!push(&intake, "u-1", 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_is_told_when_nothing_waits_behind_a_thing() {
        struct Told(Arc<Mutex<Vec<bool>>>);
        impl Worker<u8> for Told {
            async fn work(&mut self, _: u8, is_last: bool) {
                self.0.lock().unwrap().push(is_last);
            }
        }
        let (intake, lanes) = lanes(1, ROOM);
        assert!((0..3).all(|number| intake.push("u-1", number, 0)));
        let (told, ended) = (Arc::new(Mutex::default()), CancellationToken::new());
        ended.cancel();
        lanes.run(&ended, || Told(told.clone())).await;
        assert_eq!(*told.lock().unwrap(), [false, false, true]);
    }
}
