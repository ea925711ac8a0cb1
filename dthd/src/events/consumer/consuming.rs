//! A consumer at work, as the run that owns it holds it.

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Apply, Consumer};

/// A consumer that works.
pub struct Consuming {
    finish: CancellationToken,
    stop: CancellationToken,
    /// `None`: it has ended.
    work: Option<JoinHandle<Result<(), String>>>,
}

impl Consuming {
    /// Begins to consume.
    pub fn begin<A: Apply>(consumer: Consumer<A>) -> Self {
        let (finish, stop) = (CancellationToken::new(), CancellationToken::new());
        let work = tokio::spawn(consumer.run(finish.clone(), stop.clone()));
        Self { finish, stop, work: Some(work) }
    }

    /// Nothing more is received; what is worked on is brought to its end.
    pub fn finish(&self) {
        self.finish.cancel();
    }

    /// Resolves with its end; never when it has none, or has been told before.
    ///
    /// # Errors
    /// See [`Consumer::run`].
    pub async fn ended(consuming: &mut Option<Self>) -> Result<(), String> {
        let Some(work) = consuming.as_mut().and_then(|consuming| consuming.work.as_mut()) else { return std::future::pending().await };
        let end = work.await.unwrap_or_else(|defect| Err(format!("the events ended in a defect: {defect}")));
        if let Some(consuming) = consuming {
            consuming.work = None;
        }
        end
    }

    /// Settles what is done, gives back the rest, and waits until that is over.
    pub async fn stop(self) {
        self.stop.cancel();
        if let Some(work) = self.work {
            match work.await {
                Ok(Ok(())) => {}
                Ok(Err(why)) => tracing::error!("events: {why}"),
                Err(defect) => tracing::error!("the events ended in a defect: {defect}"),
            }
        }
    }
}
