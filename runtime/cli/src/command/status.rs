//! `pillion status`

use pillion_proto::actuator::v1::{ComponentState, ComponentStatus, GetStatusRequest, GetStatusResponse};
use pillion_proto::common::v1::{Durability, LocalDurability, Replication};
use serde_json::json;

use super::client::{Remote, block_on};
use crate::arguments::Arguments;
use crate::exit::{self, Failure};
use crate::output::Output;

pub(crate) fn run(arguments: &Arguments, output: &Output) -> Result<u8, Failure> {
    let status = block_on(async {
        let remote = Remote::connect(arguments).await?;
        Ok(remote.apis.actuator.get_status(&remote.cx(), GetStatusRequest {}).await?)
    })?;
    if output.json {
        output.data(&json!(status))?;
    } else {
        output.raw(text(&status).as_bytes())?;
    }
    Ok(exit::OK)
}

fn text(status: &GetStatusResponse) -> String {
    let ready = if status.ready { "ready" } else { "not ready" };
    let uptime = status.uptime.as_ref().map_or(0, |uptime| uptime.seconds);
    let mut text = format!("pillion {} · {} · {ready} · up {uptime} s\n", status.version, status.mode);
    text.push_str(&format!("  config   {}\n", status.configuration));
    for address in &status.addresses {
        text.push_str(&format!("  listens  {address}\n"));
    }
    for component in &status.components {
        text.push_str(&line(component));
    }
    text
}

fn line(component: &ComponentStatus) -> String {
    let state = match component.state() {
        ComponentState::Ready => "ok",
        ComponentState::Connecting => "connecting",
        _ => "FAILED",
    };
    let detail = match component.state() {
        ComponentState::Ready => component.durability.as_ref().map(durability).unwrap_or_default(),
        ComponentState::Connecting => component.cause.clone(),
        _ => match component.attempts {
            0 => format!("{} (it is tried again and again)", component.cause),
            attempts => format!("{} (attempts: {attempts})", component.cause),
        },
    };
    let advice = match component.advice.as_str() {
        "" => String::new(),
        advice => format!("    try: {advice}\n"),
    };
    format!("  {state:<10} {:<16} {:<16} {detail}\n{advice}", component.name, component.r#type)
}

fn durability(durability: &Durability) -> String {
    let local = match durability.local() {
        LocalDurability::PowerLoss => "survives power loss",
        LocalDurability::ProcessCrash => "survives a crash of the process",
        _ => "may be lost with the process that holds it",
    };
    let replication = match durability.replication() {
        Replication::Quorum => ", on a quorum",
        Replication::Async => ", copied asynchronously",
        _ => "",
    };
    let unverified = if durability.unverified { " (not verified)" } else { "" };
    format!("acknowledged data {local}{replication}{unverified}")
}
