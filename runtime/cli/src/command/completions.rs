//! `pillion completions`

use clap::CommandFactory;
use clap_complete::Shell;

use crate::arguments::Arguments;
use crate::exit::{self, Failure};

pub(crate) fn run(shell: Shell) -> Result<u8, Failure> {
    clap_complete::generate(shell, &mut Arguments::command(), "pillion", &mut std::io::stdout());
    Ok(exit::OK)
}
