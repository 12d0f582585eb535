//! The HTTP server: liveness, readiness, metrics, and SQL as JSON.

use std::future::IntoFuture;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use hw_base::metrics::MetricsRegistry;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

mod sql;

/// How long requests may go on when the server goes down.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// How the HTTP server behaves.
#[derive(Clone)]
pub struct HttpConfig {
    /// The coordinator, once there is one.
    pub client: watch::Receiver<Option<hw_coord::Client>>,
    /// What `/metrics` shows.
    pub metrics: MetricsRegistry,
    /// Whether queries are served.
    pub readiness: watch::Receiver<bool>,
    /// Ends the server.
    pub shutdown: CancellationToken,
}

/// Serves HTTP clients until `shutdown` is cancelled.
pub async fn serve_http(listener: TcpListener, config: HttpConfig) {
    let shutdown = config.shutdown.clone();
    let server =
        axum::serve(listener, router(config)).with_graceful_shutdown(shutdown.clone().cancelled_owned());
    let late = async {
        shutdown.cancelled().await;
        tokio::time::sleep(DRAIN_TIMEOUT).await;
    };
    tokio::select! {
        result = server.into_future() => {
            if let Err(error) = result {
                tracing::error!(%error, "the HTTP server ended");
            }
        }
        () = late => {}
    }
}

fn router(config: HttpConfig) -> Router {
    Router::new()
        .route("/", get(home))
        .route("/api/livez", get(|| async { "ok\n" }))
        .route("/api/readyz", get(ready))
        .route("/api/sql", post(sql::execute))
        .route("/metrics", get(metrics))
        .with_state(config)
}

async fn home() -> Html<String> {
    Html(format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Headwater</title>\
         <h1>Headwater {}</h1><p>A SQL-first streaming database server.</p><ul>\
         <li><a href=\"/api/livez\">liveness</a></li><li><a href=\"/api/readyz\">readiness</a></li>\
         <li><a href=\"/metrics\">metrics</a></li></ul></html>\n",
        env!("CARGO_PKG_VERSION")
    ))
}

async fn ready(State(config): State<HttpConfig>) -> Response {
    let ready = *config.readiness.borrow();
    let answers = config.client.borrow().as_ref().is_some_and(hw_coord::Client::is_alive);
    if ready && answers {
        (StatusCode::OK, "ready\n").into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n").into_response()
    }
}

async fn metrics(State(config): State<HttpConfig>) -> Response {
    const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, TEXT_FORMAT)], config.metrics.render()).into_response()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use tower::ServiceExt;

    use super::*;

    async fn status(router: &Router, path: &str) -> StatusCode {
        let request = Request::get(path).body(Body::empty()).unwrap();
        router.clone().oneshot(request).await.unwrap().status()
    }

    #[tokio::test]
    async fn before_the_start() {
        let (_client, client) = watch::channel(None);
        let (_ready, readiness) = watch::channel(false);
        let metrics = MetricsRegistry::new();
        metrics.counter("a_total", "A").inc();
        let router = router(HttpConfig { client, metrics, readiness, shutdown: CancellationToken::new() });
        assert_eq!(status(&router, "/").await, StatusCode::OK);
        assert_eq!(status(&router, "/api/livez").await, StatusCode::OK);
        assert_eq!(status(&router, "/api/readyz").await, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(status(&router, "/nosuch").await, StatusCode::NOT_FOUND);
        let request = Request::get("/metrics").body(Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        assert!(String::from_utf8_lossy(&body).contains("a_total 1"));
    }
}
