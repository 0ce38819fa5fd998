//! stub
use crate::{
    environment::Environment,
    problem::{Outcome, Problem},
    ui::Ui,
};
use clap::Args;
#[derive(Debug, Args)]
pub(crate) struct DevArguments {}
pub(crate) fn run(_: &DevArguments, _: &Environment, _: &Ui) -> Result<Outcome, Problem> {
    Ok(Outcome::default())
}
