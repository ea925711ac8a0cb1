//! From a request to its answer, with the faults in between.

use std::{io, sync::Arc};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::{Request, Response, StatusCode, body::Incoming};

use super::{
    door::Door,
    ecr::{self, api},
    fault::Action,
    list,
    log::Page,
    manifest,
    operation::Operation,
    read,
    refusal::{Refusal, refusal},
    reply::{Body, Hindrance, Reply},
    route::{Call, Entrance},
    server::Shared,
    upload,
};
use crate::s3::{
    pace::Pace,
    socket::{End, Switch},
};

/// Why there is no reply.
#[derive(Debug)]
pub(super) enum Stop {
    Refused(Refusal),
    /// The connection ends like this.
    End(End),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// A request's body on its way in, counted.
pub(super) struct Inbox<'a> {
    body: Incoming,
    page: &'a Page,
    pace: &'a Pace,
    /// The connection breaks after so many more bytes.
    left: Option<u64>,
}

impl Inbox<'_> {
    /// The next piece; `None`: all have come.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Stop> {
        loop {
            if self.left == Some(0) {
                return Err(Stop::End(End::Reset));
            }
            let Some(frame) = self.body.frame().await else { return Ok(None) };
            // a client that hangs up before the end
            let Ok(mut piece) = frame.map_err(|_| Stop::End(End::Close))?.into_data() else { continue };
            if let Some(left) = &mut self.left {
                piece.truncate((*left).min(piece.len() as u64) as usize);
                *left -= piece.len() as u64;
            }
            self.pace.take(piece.len()).await;
            self.page.received(piece.len());
            if !piece.is_empty() {
                return Ok(Some(piece));
            }
        }
    }

    /// All of it, up to a limit.
    pub async fn all(&mut self, most: u64) -> Result<Bytes, Stop> {
        let mut bytes = BytesMut::new();
        while let Some(piece) = self.next().await? {
            bytes.extend_from_slice(&piece);
            if bytes.len() as u64 > most {
                self.drain().await?;
                return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID", format!("more than {most} bytes")).into());
            }
        }
        Ok(bytes.freeze())
    }

    /// Reads the rest and forgets it, so that the client gets to read its answer.
    pub async fn drain(&mut self) -> Result<(), Stop> {
        while self.next().await?.is_some() {}
        Ok(())
    }
}

pub(super) async fn answer(
    shared: Arc<Shared>,
    entrance: Entrance,
    request: Request<Incoming>,
    switch: Switch,
) -> io::Result<Response<Body>> {
    let (head, body) = request.into_parts();
    let is_head = head.method == "HEAD";
    let mut call = match Call::parse(entrance, &head.method, &head.uri, head.headers) {
        Ok(call) => call,
        Err(refusal) => return Ok(plain(&refusal)),
    };
    let page = shared.log.begin(&call);
    let mut inbox = Inbox { body, page: &page, pace: &shared.pace, left: None };
    // ECR's API names the repository in its body, and faults go by repositories
    let mut input = Bytes::new();
    if call.operation.is_api() {
        input = match inbox.all(api::MOST).await {
            Ok(bytes) => bytes,
            Err(Stop::Refused(refusal)) => return Ok(plain(&refusal)),
            Err(Stop::End(end)) => return switch.end(end),
        };
        call.repository = api::repository(&input);
        page.repository(&call.repository);
    }
    let actions = shared.faults.strike(&call);
    for action in &actions {
        match action {
            Action::Delay(time) => tokio::time::sleep(*time).await,
            Action::Reset => return switch.end(End::Reset),
            Action::BreakUpload(after) => inbox.left = Some(*after),
            Action::ExpireTokens => shared.tokens.expire(),
            _ => {}
        }
    }
    shared.pace.delay().await;
    let carried = match made_up(&call, &actions) {
        Some(reply) => inbox.drain().await.map(|()| reply),
        None => carry_out(&shared, &call, &mut inbox, &input, &actions).await,
    };
    let mut reply = match carried {
        Ok(reply) => reply,
        Err(Stop::Refused(refusal)) => Reply::refused(&refusal),
        Err(Stop::End(end)) => return switch.end(end),
    };
    let mut hindrance = Hindrance::default();
    for action in &actions {
        match action {
            Action::ResetAfter => return switch.end(End::Reset),
            Action::AnswerAfter(answer) => reply = Reply::made_up(answer),
            Action::Shorten(keep) if *keep < reply.data.len() => {
                let data = reply.data.slice(0..*keep);
                reply = reply.with_data(data);
            }
            Action::Length(length) => reply.length = *length,
            Action::Digest(digest) => reply = reply.with("docker-content-digest", digest),
            Action::BreakDownload(after) => hindrance.breaks = Some(*after),
            Action::Slow(bytes_per_s) => {
                let pace = Pace::default();
                pace.set_bandwidth(Some(*bytes_per_s));
                hindrance.slow = Some(pace);
            }
            Action::Vanish if call.operation != Operation::PutManifest => ecr::vanish(&shared, &call, &input),
            _ => {}
        }
    }
    Ok(reply.into_response(is_head, page, &shared.pace, hindrance))
}

/// An answer to what was not understood, and is not logged.
fn plain(refusal: &Refusal) -> Response<Body> {
    let reply = Reply::refused(refusal);
    let mut response = Response::new(http_body_util::Full::new(reply.data.to_bytes()).map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = reply.status;
    *response.headers_mut() = reply.headers;
    response
}

/// The answer of a fault that stands in the way.
fn made_up(call: &Call, actions: &[Action]) -> Option<Reply> {
    actions.iter().find_map(|action| match action {
        Action::Answer(answer) => Some(Reply::made_up(answer)),
        Action::TooMany(_) if call.operation.is_api() => Some(api::Fault::throttled().reply()),
        Action::TooMany(after) => {
            let answer = refusal(429, "TOOMANYREQUESTS");
            let answer = after.map_or(answer.clone(), |after| answer.header("retry-after", &after.text()));
            Some(Reply::made_up(&answer))
        }
        _ => None,
    })
}

async fn carry_out(shared: &Shared, call: &Call, inbox: &mut Inbox<'_>, input: &[u8], actions: &[Action]) -> Result<Reply, Stop> {
    use Operation as O;
    if call.operation == O::GetStoredBlob {
        return Ok(read::stored(shared, call, actions)?);
    }
    if let Err(refusal) = shared.settings.door.admit(call, &shared.tokens, &shared.base()) {
        inbox.drain().await?;
        return if call.operation.is_api() { Ok(api::Fault::unsigned().reply()) } else { Err(refusal.into()) };
    }
    match &shared.settings.ecr {
        Some(settings) if call.operation.is_api() => return Ok(api::answer(shared, settings, call, input)),
        Some(settings) => {
            if let Err(refusal) = ecr::enter(shared, settings, call) {
                inbox.drain().await?;
                return Err(refusal.into());
            }
        }
        None => {}
    }
    Ok(match call.operation {
        O::Ping => Reply::json(&serde_json::json!({})).with("docker-distribution-api-version", "registry/2.0"),
        O::GetToken => match &shared.settings.door {
            Door::Bearer(bearer) => bearer.answer(call, &inbox.all(api::MOST).await?, &shared.tokens)?,
            _ => return Err(Refusal::not_found().into()),
        },
        O::ListRepositories => list::repositories(shared, call)?,
        O::ListTags => list::tags(shared, call)?,
        O::ListReferrers => list::referrers(shared, call)?,
        O::HeadManifest | O::GetManifest => manifest::get(shared, call, actions)?,
        O::PutManifest => manifest::put(shared, call, inbox, actions).await?,
        O::DeleteManifest => manifest::delete(shared, call)?,
        O::HeadBlob | O::GetBlob => read::blob(shared, call, actions)?,
        O::DeleteBlob => read::delete(shared, call)?,
        O::StartUpload => upload::start(shared, call),
        O::MountBlob => upload::mount(shared, call),
        O::PatchBlob => upload::patch(shared, call, inbox).await?,
        O::PutBlob => upload::finish(shared, call, inbox).await?,
        O::UploadStatus => upload::status(shared, call).await?,
        O::CancelUpload => upload::cancel(shared, call).await?,
        // ECR's API, where there is none
        _ => return Err(Refusal::not_found().into()),
    })
}
