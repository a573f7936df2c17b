//! The command line of the load tester.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use anyhow::Context as _;
use load::{Arguments, Report};

const FAILED: u8 = 1;
const VOID: u8 = 3;
const NOT_RUN: u8 = 4;

fn main() -> ExitCode {
    let arguments = Arguments::read(std::env::args_os());
    let as_json = arguments.scenario.common().json;
    match carry_out(&arguments).and_then(|report| {
        print(&report, as_json)?;
        Ok(report)
    }) {
        Ok(report) if report.void.is_some() => ExitCode::from(VOID),
        Ok(report) if report.has_failed() => ExitCode::from(FAILED),
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {error:#}");
            ExitCode::from(NOT_RUN)
        }
    }
}

fn carry_out(arguments: &Arguments) -> anyhow::Result<Report> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if let Some(threads) = arguments.scenario.common().threads {
        runtime.worker_threads(threads as usize);
    }
    let runtime = runtime.enable_all().build();
    let runtime = runtime.context("cannot start the runtime")?;
    Ok(runtime.block_on(load::run(&arguments.scenario))?)
}

fn print(report: &Report, as_json: bool) -> anyhow::Result<()> {
    let text = if as_json {
        serde_json::to_string_pretty(report)?
    } else {
        report.table()
    };
    writeln!(io::stdout(), "{}", text.trim_end()).context("cannot write to standard output")
}
