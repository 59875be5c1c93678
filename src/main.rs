//! The binary: reads the flags and hands over.

use clap::Parser;
use database_backup_operator::{
    api::crds,
    process::{
        self,
        config::{Cli, Command},
    },
};
use std::{error::Error, process::ExitCode};

// Two workers, however many processors the node has: all reconciles of a kind are one task, and each worker has memory of its own.
#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    process::panics::end_the_process();
    // `Err` only says that a provider is there already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match run().await {
        Ok(code) => code,
        Err(error) => {
            process::ended(error.as_ref());
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<ExitCode, Box<dyn Error>> {
    match Cli::parse().command {
        Command::Run(flags) => process::run(*flags).await?,
        Command::Check(flags) => process::check(*flags).await?,
        Command::Crd => print!("{}", crds::yaml()?),
        Command::Wait(flags) => return process::wait(flags).await,
    }
    Ok(ExitCode::SUCCESS)
}
