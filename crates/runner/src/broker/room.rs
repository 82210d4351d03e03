//! One run's room in the broker: its sockets, and what goes through them.
//!
//! The sockets lie in the run's directory and are visible inside read-only; relays in the sandbox
//! carry a loopback port to each. Invariants: a request leaves only if a rule names it; when this
//! value is dropped every connection is cut. Deliberately absent: who decides what the ways are.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use nightshift_domain::host::Allowed;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::account::Endpoint;
use super::bodies::{self, Shelf};
use super::door;
use super::forward::{self, Counts, Upstream};
use super::model::{self, Clock, Models, Route};
use super::network::{self, Network};
use super::price::Price;
use super::tunnel;
use super::wire::{Event, Report, RoomSpec};
use crate::sandbox::listen;

/// Longest wait for the head of a request from inside.
const HEAD: Duration = Duration::from_secs(30);
/// Connections from inside at one time, for each socket.
const MOST: usize = 64;
/// The names of the sockets.
pub(super) const PLATFORM: &str = "platform";
pub(super) const MODEL: &str = "model";
pub(super) const NETWORK: &str = "network";

/// Hears what cannot wait.
pub(super) type Tell = Arc<dyn Fn(Event) + Send + Sync>;

/// What all rooms use.
pub(super) struct House {
    pub(super) private: Vec<Allowed>,
    /// By name, with their accounts.
    pub(super) endpoints: BTreeMap<String, Arc<Endpoint>>,
    pub(super) prices: Arc<Vec<Price>>,
    /// Follows no redirect, reads no proxy settings, keeps no cookies.
    pub(super) client: reqwest::Client,
    pub(super) now: Clock,
    /// Requests of all runs that are in memory.
    pub(super) bodies: Arc<Shelf>,
}

/// The ways out of one run, open as long as this lives.
pub(super) struct Room {
    platform: Option<Arc<Upstream>>,
    models: Option<Arc<Models>>,
    network: Option<Arc<Network>>,
    _tasks: JoinSet<()>,
}

impl Room {
    /// Opens the sockets in the run's directory and serves them.
    pub(super) fn open(
        house: &House,
        run: String,
        spec: RoomSpec,
        tell: &Tell,
    ) -> Result<Self, String> {
        let mut tasks = JoinSet::new();
        let RoomSpec {
            directory,
            owner,
            ways,
            before,
        } = spec;
        let told = |tell: &Tell| {
            let tell = Arc::clone(tell);
            Box::new(move |event| tell(event)) as Box<dyn Fn(Event) + Send + Sync>
        };
        let listen = |name: &str| {
            listen(&directory, name, owner)
                .map_err(|cause| format!("no socket at {}/{name}: {cause}", directory.display()))
        };
        let platform = match ways.platform {
            None => None,
            Some(way) => {
                let upstream = Arc::new(Upstream {
                    client: house.client.clone(),
                    base: address(&way.base)?,
                    rules: way.rules,
                    budget: way.budget,
                    counts: Counts::from(before.platform, before.posts),
                    tell: told(tell),
                });
                tasks.spawn(serve(listen(PLATFORM)?, forwarding(&upstream)));
                Some(upstream)
            }
        };
        let models = match ways.models {
            None => None,
            Some(way) => {
                let mut routes = Vec::new();
                for route in way.routes {
                    let endpoint = house.endpoints.get(&route.endpoint);
                    let unknown = || format!("no model endpoint {:?}", route.endpoint);
                    routes.push(Route {
                        dialect: route.dialect,
                        endpoint: Arc::clone(endpoint.ok_or_else(unknown)?),
                        token: route.token,
                    });
                }
                let ledger = before.models.into_iter().filter_map(|used| {
                    let route = routes.iter().find(|r| r.dialect.as_str() == used.route)?;
                    Some(((route.dialect, used.model.clone()), used))
                });
                let models = Arc::new(Models {
                    run,
                    client: house.client.clone(),
                    rules: routes.iter().flat_map(|r| door::rules(r.dialect)).collect(),
                    ledger: std::sync::Mutex::new(ledger.collect()),
                    routes,
                    budget: way.budget,
                    most: way.cost_micro_usd,
                    prices: Arc::clone(&house.prices),
                    counts: Counts::from(before.model, Default::default()),
                    tell: Arc::clone(tell),
                    now: house.now,
                    bodies: Shelf::new(bodies::OF_A_RUN),
                    all_bodies: Arc::clone(&house.bodies),
                    warned: std::sync::atomic::AtomicBool::new(false),
                });
                tasks.spawn(serve(listen(MODEL)?, modelling(&models)));
                Some(models)
            }
        };
        let network = match ways.network {
            None => None,
            Some(way) => {
                let private = house.private.clone();
                let network = Network::new(way, private, before.hosts, Arc::clone(tell));
                let network = Arc::new(network);
                tasks.spawn(serve(listen(NETWORK)?, proxying(&network)));
                Some(network)
            }
        };
        Ok(Self {
            platform,
            models,
            network,
            _tasks: tasks,
        })
    }

    /// What went through so far.
    pub(super) fn report(&self) -> Report {
        let mut report = Report::default();
        if let Some(platform) = &self.platform {
            report.platform = platform.counts.traffic();
            report.posts = platform.counts.posts();
        }
        if let Some(models) = &self.models {
            (report.model, report.models) = models.report();
        }
        if let Some(network) = &self.network {
            report.hosts = network.report();
        }
        report
    }
}

/// An address that requests may be sent to.
pub(super) fn address(text: &str) -> Result<reqwest::Url, String> {
    let wrong = || {
        let shown: String = text.chars().take(200).collect();
        format!(
            "{shown:?} is not an http or https address; next: correct it in the runner's configuration"
        )
    };
    let url: reqwest::Url = text.parse().map_err(|_| wrong())?;
    let good = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none();
    if good { Ok(url) } else { Err(wrong()) }
}

/// Accepts for ever; all connections end with this task.
async fn serve(listener: UnixListener, connection: Connection) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < MOST => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream));
                }
                Err(error) => {
                    tracing::warn!(%error, "a socket of a run does not accept");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
        }
    }
}

/// What is done with one connection from inside.
type Connection = Box<dyn Fn(UnixStream) -> BoxFuture<'static, ()> + Send + Sync>;

fn forwarding(upstream: &Arc<Upstream>) -> Connection {
    let upstream = Arc::clone(upstream);
    Box::new(move |stream| {
        let upstream = Arc::clone(&upstream);
        let service = service_fn(move |request| forward::answer(Arc::clone(&upstream), request));
        Box::pin(async move {
            let served = http().serve_connection(TokioIo::new(stream), service).await;
            if let Err(error) = served {
                tracing::debug!(%error, "a connection of a run broke");
            }
        })
    })
}

fn modelling(models: &Arc<Models>) -> Connection {
    let models = Arc::clone(models);
    Box::new(move |stream| {
        let models = Arc::clone(&models);
        let service = service_fn(move |request| model::answer(Arc::clone(&models), request));
        Box::pin(async move {
            let served = http().serve_connection(TokioIo::new(stream), service).await;
            if let Err(error) = served {
                tracing::debug!(%error, "a connection of a run broke");
            }
        })
    })
}

fn proxying(network: &Arc<Network>) -> Connection {
    let network = Arc::clone(network);
    Box::new(move |stream| {
        let (tunnels, mut asked) = mpsc::unbounded_channel();
        let (of, network) = (Arc::clone(&network), Arc::clone(&network));
        let service = service_fn(move |request| {
            network::answer(Arc::clone(&of), None, tunnels.clone(), request)
        });
        Box::pin(async move {
            let served = http()
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades()
                .await;
            if let Err(error) = served {
                tracing::debug!(%error, "a connection of a run broke");
            }
            // One at most: a connection that became a tunnel answers no request any more.
            if let Ok(tunnel) = asked.try_recv() {
                tunnel::run(network, tunnel).await;
            }
        })
    })
}

fn http() -> hyper::server::conn::http1::Builder {
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD);
    http
}
