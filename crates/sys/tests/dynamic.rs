//! Directories of services whose accounts are nobody's.
#![cfg(target_os = "linux")]

mod common;

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{directory, is_root};
use mainstay_sys::dynamic::{Directories, has_account};

const ONE: u32 = 61_500;
const OTHER: u32 = 61_501;

#[test]
fn directories_are_given_once_and_stay_whose_they_are() {
    let dir = directory();
    let base = dir.path().join("services");
    if !is_root() {
        eprintln!("directories_are_given_once_and_stay_whose_they_are: the rest skipped, only root can");
        let error = Directories::hold(&base).expect_err("not to us");
        assert!(error.to_string().contains("only root"), "{error}");
        return;
    }
    let all = Directories::hold(&base).expect("they can be made");
    assert_eq!(all.owner("shop/web").expect("it can be looked at"), None);
    let given = all.give("shop/web", ONE).expect("it can be given");
    for place in [&given.state, &given.logs] {
        let found = std::fs::metadata(place).expect("it is there");
        assert_eq!((found.uid(), found.gid(), found.mode() & 0o777), (ONE, ONE, 0o700));
    }
    // On the way there are only root's, that the account may go through and not change.
    for above in given.state.ancestors().skip(1).take_while(|above| above.starts_with(&base)) {
        let found = std::fs::metadata(above).expect("it is there");
        assert_eq!((found.uid(), found.mode() & 0o777), (0, 0o755), "{}", above.display());
    }
    assert_eq!(all.owner("shop/web").expect("it can be looked at"), Some(ONE));
    assert_eq!(all.give("shop/web", ONE).expect("it has it already"), given);
    let error = all.give("shop/web", OTHER).expect_err("it is another's");
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    all.give("shop/api", OTHER).expect("it can be given");
    let used = all.used().expect("they can be looked at");
    assert!(used.contains(&ONE) && used.contains(&OTHER) && used.contains(&0), "{used:?}");
    // One that was interrupted before it gave is given by the next one.
    std::os::unix::fs::chown(&given.logs, Some(0), Some(0)).expect("we are root");
    all.give("shop/web", ONE).expect("it can be given");
    assert_eq!(std::fs::metadata(&given.logs).expect("it is there").uid(), ONE);
    for wrong in ["../web", "shop//web", "shop/.lock"] {
        assert_eq!(all.give(wrong, ONE).expect_err(wrong).kind(), ErrorKind::InvalidInput);
    }
}

/// The directory of all goes with the last stack, and comes with the next: still one at a time holds it.
#[test]
fn nothing_stays_and_one_holds_them_at_a_time() {
    if !is_root() {
        eprintln!("nothing_stays_and_one_holds_them_at_a_time skipped: only root can give directories");
        return;
    }
    let dir = directory();
    let base = dir.path().join("services");
    let held = AtomicBool::new(false);
    let one = |stack: &str| {
        for _ in 0..200 {
            let all = Directories::hold(&base).expect("they can be made");
            assert!(!held.swap(true, Ordering::SeqCst), "two hold them");
            all.give(&format!("{stack}/web"), ONE).expect("it can be given");
            held.store(false, Ordering::SeqCst);
            all.remove(stack).expect("it can be removed");
        }
    };
    std::thread::scope(|scope| {
        for stack in ["a", "b", "c"] {
            scope.spawn(|| one(stack));
        }
    });
    assert!(!base.exists());
    let all = Directories::hold(&base).expect("they can be made");
    all.give("shop/web", ONE).expect("it can be given");
    all.remove("other").expect("there is nothing");
    assert!(base.join("shop/web/state").is_dir());
}

#[test]
fn a_link_in_place_of_a_directory_is_not_followed() {
    if !is_root() {
        eprintln!("a_link_in_place_of_a_directory_is_not_followed skipped: only root can give directories");
        return;
    }
    let dir = directory();
    let base = dir.path().join("services");
    let target = dir.path().join("target");
    std::fs::create_dir_all(base.join("shop/web")).expect("made");
    std::fs::create_dir(&target).expect("made");
    std::os::unix::fs::symlink(&target, base.join("shop/web/state")).expect("made");
    let all = Directories::hold(&base).expect("they can be made");
    all.give("shop/web", ONE).expect_err("a link");
    assert_eq!(std::fs::metadata(&target).expect("it is there").uid(), 0);
}

#[test]
fn accounts_of_the_machine_are_known() {
    assert!(has_account(0));
    assert!(!has_account(3_999_999_999));
}
