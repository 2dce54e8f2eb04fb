//! `pillion serve`

use pillion_runtime::Mode;
use pillion_spi::{Clock, SystemClock};

use super::start::{self, Plan};
use crate::arguments::{Arguments, Serve};
use crate::exit::Failure;
use crate::output::Output;

pub(crate) fn run(arguments: &Arguments, serve: &Serve, output: &Output) -> Result<u8, Failure> {
    let began = SystemClock.now();
    let registry = pillion_runtime::registry();
    let Some((config, origin)) = start::configured(&serve.file, &registry)? else {
        return Err(start::no_file());
    };
    start::log(&config, arguments.verbose, output);
    let data = start::data(&config);
    let plan = Plan { config, origin, data, mode: Mode::Serve };
    start::run(plan, &serve.process, output, began, |_| Ok(std::future::pending()))
}
