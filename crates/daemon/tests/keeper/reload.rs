//! A changed configuration, as the keeper sees it.

use mainstay_api::types::Apply;
use mainstay_core::StateName;
use mainstay_link::Command;

use crate::fake::{Keeper, name, plan};

pub fn what_changes_while_it_runs_is_told_to_the_keeper() {
    let mut keeper = Keeper::started(plan(&["api", "db"]));
    keeper.wait_state("api", StateName::Running);
    let run = keeper.run_of("api").unwrap();
    let mut changed = plan(&["api", "db"]);
    let api = changed.services.get_mut(&name("api")).unwrap();
    (api.launch.limits.memory, api.log.keep_files) = (Some(50_000_000), 3);
    let limits = api.launch.limits.clone();

    let asked = Apply { plan: changed.clone(), how: "test".into(), dry_run: false };
    let reloading = keeper.ask(async |client| client.apply(&asked).await);
    assert_eq!((reloading.revision, reloading.reload.steps.len()), (2, 1));
    let told = Command::SetLimits { run, limits };
    keeper.until("the limit", |keeper| keeper.commands.contains(&told));
    let kept = keeper
        .commands
        .iter()
        .any(|command| matches!(command, Command::SetLog(log) if log.name == "api" && log.keep_files == 3));
    assert!(kept, "{:?}", keeper.commands);
    assert_eq!((keeper.run_of("api"), keeper.spawned.len()), (Some(run), 2), "nothing is restarted");

    // The same again is nothing.
    let again = Apply { plan: changed, how: "test".into(), dry_run: false };
    let reloading = keeper.ask(async |client| client.apply(&again).await);
    assert!(!reloading.applying && reloading.reload.is_empty(), "{reloading:?}");
}
