//! How fast processes are made here, beside a bare `posix_spawn` (which is what `std::process::Command` does):
//! `cargo run --release -p mainstay-sys --example figures`.
//!
//! The program that is started is 200 bytes long, so that nothing but the making is measured.
#![expect(clippy::print_stdout, reason = "it prints figures")]

#[cfg(target_os = "linux")]
fn main() {
    linux::main();
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("figures are of Linux");
}

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::BTreeMap;
    use std::io::Read;
    use std::path::{Path, PathBuf};
    use std::process::{Child, Command, Stdio};
    use std::time::{Duration, Instant};

    use mainstay_sys::capture::{Chunk, Set, pipe};
    use mainstay_sys::clock::monotonic_nanos;
    use mainstay_sys::container::{Container, Kind, Root};
    use mainstay_sys::mux::{Mux, Wake};
    use mainstay_sys::own::become_keeper;
    use mainstay_sys::spawn::{Process, Request, spawn};

    const MANY: usize = 1000;
    const ROUNDS: usize = 300;

    pub fn main() {
        let dir = std::env::temp_dir().join(format!("mainstay-figures-{}", std::process::id()));
        std::fs::create_dir(&dir).expect("a directory can be made");
        let program = dir.join("stamp");
        write_program(&program);
        // What the peers' figures were taken with: no limit of ours before the services' own.
        become_keeper().expect("we can be a keeper");
        for round in 1..=3 {
            println!("round {round}");
            let bare = bare_many(&program);
            println!("  {MANY} bare spawns with a pipe each: {:7.1} ms", ms(bare));
            for kind in [Kind::Cgroup, Kind::Session] {
                let Some(root) = root(kind) else { continue };
                let (spawns, all, stop) = many(&program, &root);
                println!(
                    "  {MANY} in a {:7} each: {:7.1} ms = {:.2} x (containers made before: {:.1} ms); all killed and \
                     gone: {:.1} ms",
                    kind.as_str(),
                    ms(spawns),
                    spawns.as_secs_f64() / bare.as_secs_f64(),
                    ms(all.saturating_sub(spawns)),
                    ms(stop),
                );
                let _ = root.remove();
            }
            let floor = median((0..ROUNDS).map(|_| bare_once(&program)).collect());
            println!("  bare spawn to the first instruction: {:6.0} us", us(floor));
            for kind in [Kind::Cgroup, Kind::Session] {
                let Some(root) = root(kind) else { continue };
                let figure = restarts(&program, &root);
                println!(
                    "  kill -9 to the next one's first instruction, {:7}: {:6.0} us = {:.2} x",
                    kind.as_str(),
                    us(figure),
                    figure.as_secs_f64() / floor.as_secs_f64()
                );
                let _ = root.remove();
            }
        }
        let _ = std::fs::remove_dir_all(&dir);
    }

    fn root(kind: Kind) -> Option<Root> {
        match Root::open(&format!("figures{}", std::process::id()), Some(kind)) {
            Ok(root) => Some(root),
            Err(error) => {
                println!("  no {}: {error}", kind.as_str());
                None
            }
        }
    }

    fn bare(program: &Path) -> Child {
        let mut command = Command::new(program);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        command.spawn().expect("it starts")
    }

    fn bare_many(program: &Path) -> Duration {
        let start = Instant::now();
        let mut all = Vec::new();
        let children: Vec<Child> = (0..MANY)
            .map(|_| {
                let t = Instant::now();
                let c = bare(program);
                all.push(t.elapsed());
                c
            })
            .collect();
        let took = start.elapsed();
        println!(
            "  median bare {:.0} us p10 {:.0}",
            us(median(all.clone())),
            us({
                all.sort_unstable();
                all[100]
            })
        );
        for mut child in children {
            child.kill().expect("it can be killed");
            child.wait().expect("it ends");
        }
        took
    }

    /// From before the call to the time that the program says it began.
    fn bare_once(program: &Path) -> Duration {
        let before = monotonic_nanos();
        let mut child = bare(program);
        let mut stamp = [0; 16];
        child.stdout.as_mut().expect("it was asked for").read_exact(&mut stamp).expect("it writes");
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
        Duration::from_nanos(nanos(stamp) - before)
    }

    fn start(program: &str, container: &Container, set: &mut Set, token: u64) -> Process {
        let (reader, writer) = pipe().expect("a pipe can be had");
        set.add(token, reader).expect("it can be added");
        let command = [program.to_owned()];
        spawn(&Request {
            command: &command,
            working_dir: None,
            environment: &BTreeMap::new(),
            remove: &[],
            user: None,
            password: None,
            settings: None,
            container,
            run: token,
            output: Some(&writer),
            errors: None,
        })
        .expect("it starts")
    }

    fn many(program: &Path, root: &Root) -> (Duration, Duration, Duration) {
        let program = text(program);
        let mut mux = Mux::<()>::new().expect("it can be made");
        let mut set = Set::new().expect("it can be made");
        let begin = Instant::now();
        let containers: Vec<Container> = (0..MANY)
            .map(|number| root.container(&format!("service-{number}")).expect("a container can be had"))
            .collect();
        let start_at = Instant::now();
        let mut all = Vec::new();
        for (token, container) in (0..).zip(&containers) {
            let t = Instant::now();
            start(&program, container, &mut set, token);
            all.push(t.elapsed());
        }
        println!(
            "  median {:.0} us p10 {:.0}",
            us(median(all.clone())),
            us({
                all.sort_unstable();
                all[100]
            })
        );
        let spawns = start_at.elapsed();
        let all = begin.elapsed();
        mux.watch_children().expect("they can be watched");
        let stop = Instant::now();
        for container in &containers {
            container.kill().expect("it can be killed");
        }
        let mut left = MANY;
        while left > 0 {
            if let Wake::ChildExited { .. } = mux.next(None).expect("it can be waited") {
                left -= 1;
            }
        }
        for container in containers {
            while !container.is_empty().expect("it can be asked") {
                std::thread::yield_now();
            }
            container.remove().expect("it can be removed");
        }
        (spawns, all, stop.elapsed())
    }

    /// From the kill of one to the first instruction of the next.
    fn restarts(program: &Path, root: &Root) -> Duration {
        let program = text(program);
        let mut mux = Mux::<()>::new().expect("it can be made");
        mux.watch_children().expect("they can be watched");
        let mut set = Set::new().expect("it can be made");
        let container = root.container("service").expect("a container can be had");
        let mut process = start(&program, &container, &mut set, 0);
        stamp(&mut set, 0);
        let mut all = Vec::new();
        for token in 1..=ROUNDS as u64 {
            let before = monotonic_nanos();
            mainstay_sys::process::kill(&process.id).expect("it can be killed");
            loop {
                if let Wake::ChildExited { pid, .. } = mux.next(None).expect("it can be waited")
                    && pid == process.pid
                {
                    break;
                }
            }
            assert!(container.is_empty().expect("it can be asked"));
            process = start(&program, &container, &mut set, token);
            all.push(Duration::from_nanos(stamp(&mut set, token) - before));
        }
        container.kill().expect("it can be killed");
        while !container.is_empty().expect("it can be asked") {
            std::thread::yield_now();
        }
        let _ = mux.next(Some(Duration::from_millis(20)));
        container.remove().expect("it can be removed");
        median(all)
    }

    fn stamp(set: &mut Set, wanted: u64) -> u64 {
        let mut found = Vec::new();
        while found.len() < 16 {
            set.wait(None, &mut |token, chunk| {
                if let (true, Chunk::Data(data, _)) = (token == wanted, chunk) {
                    found.extend_from_slice(data);
                }
            })
            .expect("it can be waited");
        }
        nanos(found[..16].try_into().expect("sixteen bytes"))
    }

    fn nanos(stamp: [u8; 16]) -> u64 {
        let part = |at: usize| u64::from_le_bytes(stamp[at..at + 8].try_into().expect("eight bytes"));
        part(0) * 1_000_000_000 + part(8)
    }

    fn median(mut all: Vec<Duration>) -> Duration {
        all.sort_unstable();
        all[all.len() / 2]
    }

    fn ms(duration: Duration) -> f64 {
        duration.as_secs_f64() * 1e3
    }

    fn us(duration: Duration) -> f64 {
        duration.as_secs_f64() * 1e6
    }

    fn text(path: &Path) -> String {
        path.to_str().expect("it is text").to_owned()
    }

    /// An x86_64 program that writes CLOCK_MONOTONIC to standard output and waits.
    fn write_program(path: &PathBuf) {
        const BASE: u64 = 0x40_0000;
        let code: &[u8] = &[
            0x48, 0x83, 0xec, 0x10, // sub rsp, 16
            0xbf, 0x01, 0x00, 0x00, 0x00, // mov edi, CLOCK_MONOTONIC
            0x48, 0x89, 0xe6, // mov rsi, rsp
            0xb8, 0xe4, 0x00, 0x00, 0x00, // mov eax, clock_gettime
            0x0f, 0x05, // syscall
            0xba, 0x10, 0x00, 0x00, 0x00, // mov edx, 16
            0xbf, 0x01, 0x00, 0x00, 0x00, // mov edi, 1
            0x48, 0x89, 0xe6, // mov rsi, rsp
            0xb8, 0x01, 0x00, 0x00, 0x00, // mov eax, write
            0x0f, 0x05, // syscall
            0xb8, 0x22, 0x00, 0x00, 0x00, // mov eax, pause
            0x0f, 0x05, // syscall
            0xeb, 0xf7, // jmp back to pause
        ];
        let mut file = Vec::new();
        file.extend_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
        file.extend_from_slice(&2_u16.to_le_bytes()); // executable
        file.extend_from_slice(&62_u16.to_le_bytes()); // x86_64
        file.extend_from_slice(&1_u32.to_le_bytes());
        file.extend_from_slice(&(BASE + 120).to_le_bytes()); // entry
        file.extend_from_slice(&64_u64.to_le_bytes()); // program headers
        file.extend_from_slice(&0_u64.to_le_bytes());
        file.extend_from_slice(&0_u32.to_le_bytes());
        for number in [64_u16, 56, 1, 0, 0, 0] {
            file.extend_from_slice(&number.to_le_bytes());
        }
        file.extend_from_slice(&1_u32.to_le_bytes()); // to be loaded
        file.extend_from_slice(&5_u32.to_le_bytes()); // read and execute
        let length = 120 + code.len() as u64;
        for number in [0, BASE, BASE, length, length, 0x1000] {
            file.extend_from_slice(&number.to_le_bytes());
        }
        file.extend_from_slice(code);
        std::fs::write(path, file).expect("it can be written");
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
    }
}
