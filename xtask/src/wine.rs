//! Windows programs on this machine: which Wine runs them, and the runner that cargo calls for each.
//!
//! The system's Wine if it is version 9 or later; else Wine 10 in a root folder with Debian trixie; else Wine 8 with
//! a stand-in for a DLL that it lacks.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use crate::packages::{self, DEBOOTSTRAP, MINGW, Need};
use crate::run::{Done, output, root, run, succeeds, target};
use crate::{machine, second_try};

/// How Windows programs are run here.
pub enum Wine {
    /// By a program in PATH.
    System(PathBuf),
    /// By the Wine in a root folder.
    Folder(PathBuf),
}

impl Wine {
    /// Debian's own, which is not in PATH.
    fn is_8(&self) -> bool {
        matches!(self, Wine::System(path) if path.ends_with("wine64"))
    }
}

/// The root folder with Debian trixie. Outside the repository, because `cargo clean` must not meet its mounts.
const FOLDER: &str = "/var/lib/mainstay-test/trixie";

/// `MAINSTAY_TEST_WINE=8` forces the last choice. Programs under it find the same, and skip what it lacks.
pub const FORCE: &str = "MAINSTAY_TEST_WINE";

/// Finds or makes a Wine, and its prefix. Returns it with a word about which it is.
pub fn prepare() -> Done<(Wine, String)> {
    let (wine, name) = choose()?;
    let prefix = prefix(&wine);
    if !prefix.join("system.reg").is_file() {
        fs::create_dir_all(&prefix).map_err(|error| format!("cannot make {}: {error}", prefix.display()))?;
        println!("+ making a Wine prefix in {}", prefix.display());
        // The first start of an empty prefix fails now and then; it is not what is tested.
        let boot = || succeeds(&mut command(&wine, "wineboot", &["-i"]));
        if !(boot() || boot()) {
            return Err(format!("{name} cannot make a prefix in {}", prefix.display()));
        }
        // Windows without a display: tests close some.
        let drivers = r"HKCU\Software\Wine\Drivers";
        succeeds(&mut command(&wine, "wine", &["reg", "add", drivers, "/v", "Graphics", "/d", "null", "/f"]));
        succeeds(&mut command(&wine, "wineserver", &["-w"]));
    }
    if wine.is_8() {
        shim(&prefix)?;
    }
    Ok((wine, name))
}

/// Ends what the prefix still runs.
pub fn finish(wine: &Wine) {
    succeeds(&mut command(wine, "wineserver", &["-k"]));
}

/// What cargo calls: `xtask wine-run program.exe arguments…`.
pub fn runner(exe: &str, args: &[&str]) -> ExitCode {
    let wine = match choose() {
        Ok((wine, _)) => wine,
        Err(error) => {
            eprintln!("xtask: {error}");
            return ExitCode::FAILURE;
        }
    };
    let program = |args: &[&str]| {
        let mut words = vec![exe];
        words.extend(args);
        command(&wine, "wine", &words)
    };
    match second_try::run(args, program) {
        Ok(status) => ExitCode::from(u8::try_from(status.code().unwrap_or(1) & 0xFF).unwrap_or(1)),
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

fn choose() -> Done<(Wine, String)> {
    if std::env::var_os(FORCE).is_none_or(|forced| forced != "8") {
        if let Some(system) = system_wine() {
            return Ok(system);
        }
        if let Some(folder) = folder_wine()? {
            return Ok(folder);
        }
    }
    // Debian's wine64 is not in PATH.
    let path = PathBuf::from("/usr/lib/wine/wine64");
    if !path.is_file() {
        packages::install(&[Need { program: "wine64", package: "wine64" }])?;
    }
    Ok((Wine::System(path), "wine-8 with a stand-in for bcryptprimitives.dll".to_owned()))
}

fn system_wine() -> Option<(Wine, String)> {
    let version = output(Command::new("wine").arg("--version"))?;
    let major: u32 = version.trim().strip_prefix("wine-")?.split(['.', ' ', '-']).next()?.parse().ok()?;
    (major >= 9).then(|| (Wine::System("wine".into()), version.trim().to_owned()))
}

/// Wine 10 in a root folder; made if it is not there. None where that is not possible (no root).
fn folder_wine() -> Done<Option<(Wine, String)>> {
    let folder = PathBuf::from(FOLDER);
    // An absolute link, which must not be followed from outside the folder.
    if fs::symlink_metadata(folder.join("usr/bin/wine")).is_err() {
        if !packages::is_root() {
            println!("Wine 10 needs root to be put into a folder of its own; taking an older one");
            return Ok(None);
        }
        packages::install(DEBOOTSTRAP)?;
        make_folder(&folder)?;
    }
    Ok(Some((Wine::Folder(folder), "wine-10 in a folder with Debian trixie".to_owned())))
}

/// Made under another name first, so that half a folder is never taken for a whole one.
fn make_folder(folder: &Path) -> Done {
    let making = folder.with_extension("making");
    for old in [&making, &folder.to_path_buf()] {
        if old.exists() {
            fs::remove_dir_all(old).map_err(|error| format!("cannot remove {}: {error}", old.display()))?;
        }
    }
    fs::create_dir_all(&making).map_err(|error| format!("cannot make {}: {error}", making.display()))?;
    // A copy is quicker than making the same again.
    match machine::folder() {
        Some(made) => run(Command::new("cp").arg("-aT").args([&made, &making]))?,
        None => run(Command::new("debootstrap").args(["--variant=minbase", "trixie"]).arg(&making))?,
    }
    let apt = ["install", "-y", "-q", "--no-install-recommends", "wine64", "wine"];
    run(in_folder(&making, "/", "apt-get").args(apt))?;
    fs::rename(&making, folder).map_err(|error| format!("cannot name {}: {error}", folder.display()))
}

/// Where the prefix is: below the target folder, so that it goes with `cargo clean`.
fn prefix(wine: &Wine) -> PathBuf {
    target().join(match wine {
        _ if wine.is_8() => "wine/prefix-8",
        Wine::System(_) => "wine/prefix",
        Wine::Folder(_) => "wine/prefix-10",
    })
}

/// One of Wine's programs with our prefix, in the current directory.
pub fn command(wine: &Wine, program: &str, args: &[&str]) -> Command {
    let mut command = match wine {
        Wine::System(path) if path.is_absolute() && program == "wine" => Command::new(path),
        Wine::System(path) if path.is_absolute() && program == "wineserver" => {
            Command::new(path.with_file_name("wineserver64"))
        }
        Wine::System(path) if path.is_absolute() => {
            let mut command = Command::new(path);
            command.arg(program);
            command
        }
        Wine::System(_) => Command::new(program),
        Wine::Folder(folder) => {
            let here = std::env::current_dir().unwrap_or_else(|_| root());
            in_folder(folder, &here.to_string_lossy(), program)
        }
    };
    command
        .args(args)
        .env("WINEPREFIX", prefix(wine))
        .env("WINEDEBUG", "-all")
        .env("WINEDLLOVERRIDES", "mscoree,mshtml=");
    if wine.is_8() {
        command.env(FORCE, "8");
    }
    command
}

/// A program inside a root folder, with this repository and /proc visible there. The mounts are in a namespace of
/// their own and go with the program.
fn in_folder(folder: &Path, here: &str, program: &str) -> Command {
    const SCRIPT: &str = r#"
        folder=$1 here=$2; shift 2
        [ -e "$folder/etc/hosts" ] || printf '127.0.0.1 localhost\n::1 localhost\n' > "$folder/etc/hosts"
        mount -t proc proc "$folder/proc" && mount --rbind /dev "$folder/dev" || exit 125
        for dir in "$MAINSTAY_REPO" "$MAINSTAY_TARGET"; do
            mkdir -p "$folder$dir" && mount --bind "$dir" "$folder$dir" || exit 125
        done
        exec chroot "$folder" sh -c 'cd "$0" && exec "$@"' "$here" "$@"
    "#;
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", SCRIPT, "sh"]);
    command.arg(folder).arg(here).arg(program);
    command.env("MAINSTAY_REPO", root()).env("MAINSTAY_TARGET", target()).stdin(Stdio::null());
    command
}

/// Wine 8 has no bcryptprimitives.dll, which every Rust program imports. For tests only; never shipped.
fn shim(prefix: &Path) -> Done {
    let dll = prefix.join("drive_c/windows/system32/bcryptprimitives.dll");
    if dll.is_file() {
        return Ok(());
    }
    packages::install(MINGW)?;
    let source = target().join("wine/bcryptprimitives.c");
    let text = "#include <windows.h>\n\
        BOOLEAN NTAPI SystemFunction036(PVOID, ULONG);\n\
        __declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T size)\n\
        { return SystemFunction036(data, (ULONG)size); }\n";
    fs::write(&source, text).map_err(|error| format!("cannot write {}: {error}", source.display()))?;
    run(Command::new("x86_64-w64-mingw32-gcc")
        .args(["-shared", "-O2", "-s", "-o"])
        .arg(dll)
        .arg(source)
        .arg("-ladvapi32"))
}
