//! `tide serve`: one process with the database, its node, and GraphQL over HTTP.

use serde_json::json;
use tidewater_net::transport::Addr;
use tokio::sync::watch;

use super::arguments::{Global, Serve};
use super::context::{self, Interrupt};
use super::control;
use super::failure::{Done, Failure};
use super::network::{hint, start_node};
use super::output::Output;
use crate::graphql::Graph;
use crate::http::{self, Allowed};

/// Serves until it is interrupted.
pub(crate) fn serve(
    global: &Global,
    serve: &Serve,
    output: &mut Output,
    runtime: &tokio::runtime::Handle,
    interrupted: &Interrupt,
) -> Done {
    let path = context::path(global)?;
    let database = context::open(global)?;
    runtime.block_on(async {
        let listener = http::serve::listen(serve.http).await.map_err(|error| match error {
            http::serve::ListenError::NotLoopback { .. } => Failure::usage(error),
            other => Failure::failed(other),
        })?;
        let http_address = listener.local_addr().map_err(Failure::failed)?;
        let node = start_node(&database, serve.p2p).await?;
        let (stop, stopped) = watch::channel(false);
        let graph = Graph::with_node(node.clone());
        let allowed = Allowed { hosts: serve.allow_host.clone(), origins: serve.allow_origin.clone() };
        let serving = tokio::spawn(http::serve::serve(listener, http::router(graph, allowed), stopped.clone()));
        let door = control::open(&path, database.clone(), node.clone(), stopped);
        if let Err(why) = &door {
            hint(&format!("tide: commands on {} have to wait until this ends: {why}", path.display()));
        }

        let addresses: Vec<String> = node.listen_addresses().iter().map(Addr::to_string).collect();
        let url = format!("http://{http_address}/graphql");
        let record = json!({
            "graphql": url, "http": http_address.to_string(), "p2p": addresses, "device": database.device().to_string(),
            "process": std::process::id(),
        });
        let sentence = format!("GraphQL  {url}\nPeers    {}\nDevice   {}", addresses.join(" "), database.device());
        output.say(&sentence, &record)?;
        output.flush()?;

        interrupted.raised().await;
        stop.send_replace(true);
        node.shutdown().await;
        // The task ends by itself within its own deadline.
        let _ = serving.await;
        if let Ok(door) = door {
            door.close().await;
        }
        Ok(())
    })
}
