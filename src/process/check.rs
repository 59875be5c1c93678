//! `check`: whether the cluster has everything that the operator needs, or whether an account can be used.

use super::{authorities, cluster, config};
use crate::{
    api::account::{CloudAccount, ClusterCloudAccount},
    cloud::{
        self,
        client::{Observer, agents::Agents, authorities::Authorities},
    },
    controller::{
        accounts::check::{CheckedStep, Surroundings, check as check_account, is_usable},
        api_error::explained,
        checks::permissions,
        clock::Clock,
    },
};
use config::{AccountName, Check};
use kube::Config;
use std::{error::Error, sync::Arc};

/// Prints whether the cluster has everything that `run` with the same flags needs; or, with `--account`, whether that account can be used.
///
/// # Errors
/// Something is missing, or the cluster does not answer.
pub async fn check(flags: Check) -> Result<(), Box<dyn Error>> {
    let authorities = authorities::read(flags.run.ca_bundle.as_deref())?;
    let config = cluster::config()?;
    match &flags.account {
        Some(account) => account_can_be_used(&flags, account, &authorities, config).await,
        None => cluster_is_ready(&flags, config).await,
    }
}

async fn cluster_is_ready(flags: &Check, config: Config) -> Result<(), Box<dyn Error>> {
    let (options, lease) = (flags.run.options(config.default_namespace.clone()), flags.run.lease(&config.default_namespace));
    let findings = permissions::check(&cluster::client(config, cluster::REQUEST_TIMEOUT)?, &options, lease.as_ref()).await;
    let findings = findings.map_err(|error| format!("the Kubernetes API cannot be asked: {}", explained(&error)))?;
    for note in &findings.notes {
        println!("note: {note}");
    }
    for problem in &findings.problems {
        println!("problem: {problem}");
    }
    match findings.problems.len() {
        0 => println!("ok: the definitions of {} are served, and {} rights are granted", env!("CARGO_PKG_VERSION"), findings.granted),
        1 => return Err("the operator cannot work: see the problem above".into()),
        several => return Err(format!("the operator cannot work: see the {several} problems above").into()),
    }
    Ok(())
}

async fn account_can_be_used(
    flags: &Check,
    account: &AccountName,
    authorities: &Authorities,
    config: Config,
) -> Result<(), Box<dyn Error>> {
    let options = flags.run.options(config.default_namespace.clone());
    let kubernetes = cluster::client(config, cluster::REQUEST_TIMEOUT)?;
    let cloud = Arc::new(cloud::client::Client::trusting(authorities, Arc::new(Nobody))?);
    let surroundings = Surroundings { kubernetes: &kubernetes, cloud, agents: &Agents::new()?, options: &options };
    let (namespace, now) = (account.namespace.as_deref(), Clock::start().now());
    let steps = match namespace {
        Some(_) => check_account::<CloudAccount>(&surroundings, namespace, &account.name, now).await,
        None => check_account::<ClusterCloudAccount>(&surroundings, None, &account.name, now).await,
    };
    print!("{}", table(&steps));
    if is_usable(&steps) { Ok(()) } else { Err("the account cannot be used: see the table above".into()) }
}

/// A row for each step, under a heading.
fn table(steps: &[CheckedStep]) -> String {
    let width = steps.iter().map(|step| step.name.len()).max().unwrap_or_default().max("STEP".len());
    let row = |name: &str, outcome: &str, detail: &str| format!("{name:width$}  {outcome:8}  {detail}\n");
    let rows = steps.iter().map(|step| row(step.name, step.outcome.into(), &step.detail));
    std::iter::once(row("STEP", "RESULT", "DETAIL")).chain(rows).collect()
}

/// Calls by hand are not counted.
struct Nobody;

impl Observer for Nobody {
    fn call(&self, _call: &cloud::client::Call<'_>) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::accounts::check::Outcome;

    #[test]
    fn the_table_is_aligned_and_has_a_row_for_each_step() {
        let step = |name, outcome, detail: &str| CheckedStep { name, outcome, detail: detail.into() };
        let steps = [step("login", Outcome::Ok, "fine"), step("GaussDBforMySQL", Outcome::Unusable, "no")];
        let expected = "STEP             RESULT    DETAIL\nlogin            ok        fine\nGaussDBforMySQL  unusable  no\n";
        assert_eq!(table(&steps), expected);
    }
}
