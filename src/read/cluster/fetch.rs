//! One answer of the API server: tried again where that helps, given up at the deadline.

use std::time::Duration;

use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use kube::Client;
use kube::client::Body;
use serde::Deserialize;
use tokio::time::{Instant, sleep, timeout_at};

use super::connect;
use crate::messages::cluster as messages;
use crate::problem::{Message, quote};

/// How long one try may take.
const TRY: Duration = Duration::from_secs(60);
/// How often to try.
const TRIES: u32 = 5;
/// The first pause between two tries; it doubles each time.
const PAUSE: Duration = Duration::from_millis(250);
/// The most bytes of one answer.
const MAX_ANSWER: usize = 256 * 1024 * 1024;
/// The most bytes of a refusal that are looked at.
const MAX_REFUSAL: usize = 64 * 1024;
/// The most characters of a refusal that are shown.
const MAX_MESSAGE: usize = 300;

/// Why there is no answer to work with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// 401.
    Unauthorized,
    /// 403, with the server's words.
    Forbidden(String),
    /// 404: not served.
    NotFound,
    /// 410: the list has changed too much since its first page.
    Expired,
    /// 429 or 5xx, with the server's words, and how long it wants to be left alone.
    Busy(String, Option<Duration>),
    /// The connection broke, or nothing came in time.
    Broken(Message),
    /// The whole scan took too long.
    Deadline,
    /// Anything else.
    Other(Message),
}

/// The server, and until when it may be asked.
pub(super) struct Api {
    pub(super) client: Client,
    pub(super) deadline: Instant,
}

/// What the API server says of a failure.
#[derive(Deserialize)]
struct Status {
    message: Option<String>,
}

impl Api {
    /// The body of a successful answer to `path`.
    pub(super) async fn get(&self, path: &str) -> Result<Vec<u8>, Failure> {
        let mut pause = PAUSE;
        let mut tries = 1;
        loop {
            let now = Instant::now();
            if now >= self.deadline {
                return Err(Failure::Deadline);
            }
            let end = self.deadline.min(now + TRY);
            let failure = match timeout_at(end, self.once(path)).await {
                Ok(Ok(body)) => return Ok(body),
                Ok(Err(failure)) => failure,
                Err(_) if end == self.deadline => return Err(Failure::Deadline),
                Err(_) => Failure::Broken(messages::no_answer(TRY.as_secs())),
            };
            let wait = match &failure {
                Failure::Busy(_, after) => after.unwrap_or(pause),
                Failure::Broken(_) => pause,
                _ => return Err(failure),
            };
            if tries == TRIES {
                return Err(failure);
            }
            if Instant::now() + wait >= self.deadline {
                return Err(Failure::Deadline);
            }
            sleep(wait).await;
            tries += 1;
            pause *= 2;
        }
    }

    async fn once(&self, path: &str) -> Result<Vec<u8>, Failure> {
        let request = Request::get(path)
            .header(header::ACCEPT, "application/json")
            .body(Body::empty())
            .map_err(|error| Failure::Other(messages::unexplained(error)))?;
        let answer = self.client.send(request).await.map_err(|error| broken(&error))?;
        let (head, body) = answer.into_parts();
        if head.status == StatusCode::OK {
            return collect(body, MAX_ANSWER).await;
        }
        // of a refusal that is cut off, the status is enough
        let body = collect(body, MAX_REFUSAL).await.unwrap_or_default();
        Err(refused(head.status, &head.headers, &body))
    }
}

async fn collect(body: Body, most: usize) -> Result<Vec<u8>, Failure> {
    match Limited::new(body, most).collect().await {
        Ok(collected) => Ok(collected.to_bytes().into()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(Failure::Other(messages::large_answer(most >> 20)))
        }
        Err(error) => {
            let causes = connect::chain(error.as_ref());
            Err(Failure::Broken(messages::answer_cut_off(causes.last().cloned().unwrap_or_default())))
        }
    }
}

/// Is it worth another try?
fn broken(error: &kube::Error) -> Failure {
    use std::io::ErrorKind;
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(cause) = next {
        let kind = cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        let gone = matches!(
            kind,
            Some(
                ErrorKind::ConnectionReset
                    | ErrorKind::ConnectionAborted
                    | ErrorKind::BrokenPipe
                    | ErrorKind::UnexpectedEof
                    | ErrorKind::TimedOut
            )
        );
        // hyper has no public kind for this one
        if gone || cause.to_string().starts_with("connection closed before message completed") {
            return Failure::Broken(messages::connection_broke(cause));
        }
        next = cause.source();
    }
    Failure::Other(connect::explain(error))
}

fn refused(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Failure {
    let message = serde_json::from_slice::<Status>(body).ok().and_then(|status| status.message);
    // on its way to a terminal
    let message = message
        .map(|text| text.chars().filter(|char| !char.is_control()).take(MAX_MESSAGE).collect::<String>());
    let said = message.unwrap_or_else(|| {
        let text = String::from_utf8_lossy(body);
        let text = text.trim();
        if text.is_empty() || text.starts_with('<') { String::new() } else { quote(text) }
    });
    let code = status.as_u16();
    let with_code = if said.is_empty() { code.to_string() } else { format!("{code}: {said}") };
    match code {
        401 => Failure::Unauthorized,
        403 => Failure::Forbidden(said),
        404 => Failure::NotFound,
        410 => Failure::Expired,
        429 | 500.. => {
            let after = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
            Failure::Busy(with_code, after.map(Duration::from_secs))
        }
        300..=399 => {
            let to = headers.get(header::LOCATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
            Failure::Other(messages::redirect(code, quote(to)))
        }
        _ => Failure::Other(messages::answers(with_code)),
    }
}
