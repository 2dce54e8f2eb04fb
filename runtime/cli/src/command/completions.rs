//! `pillion completions`

use clap::CommandFactory;
use clap_complete::Shell;

use crate::arguments::Arguments;
use crate::exit::{self, Failure};
use crate::output::Output;

pub(crate) fn run(shell: Shell, output: &Output) -> Result<u8, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "pillion", &mut script);
    output.raw(&script)?;
    Ok(exit::OK)
}
