//! In a process group of its own.

use std::io::{self, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, kill_process_group, set_parent_process_death_signal, waitid,
};

use super::{Asked, Ran};
use crate::Exit;
use crate::private::read_all;

/// How often it is looked whether it has ended, once it has closed its output.
const LOOK: Duration = Duration::from_millis(5);

pub(super) fn run(asked: &Asked<'_>) -> io::Result<Ran> {
    let Some((program, arguments)) = asked.command.split_first() else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0);
    // SAFETY: the closure makes one system call and allocates nothing, as a child between fork and exec has to.
    unsafe {
        // It ends with this thread, which waits for it.
        command.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::KILL))?));
    }
    let mut group = Group { child: command.spawn()?, ended: false };
    let deadline = Instant::now() + asked.limit;
    let (mut stdin, stdout) = (group.child.stdin.take(), group.child.stdout.take());
    let (input, most) = (zeroize::Zeroizing::new(asked.input.to_vec()), asked.most);
    let (done, output) = channel();
    // On threads, as either may take as long as it likes. They end when the pipes do.
    std::thread::Builder::new().name("input".to_owned()).spawn(move || {
        // It need not read it.
        let _ = stdin.take().map(|mut stdin| stdin.write_all(&input));
    })?;
    std::thread::Builder::new().name("output".to_owned()).spawn(move || {
        let read = stdout.map_or_else(|| Ok(Default::default()), |mut stdout| read_all(&mut stdout, most));
        let _ = done.send(read);
    })?;
    let output = match output.recv_timeout(asked.limit) {
        Ok(output) => output?,
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
            return Err(io::ErrorKind::TimedOut.into());
        }
    };
    while !group.has_ended()? {
        if Instant::now() >= deadline {
            return Err(io::ErrorKind::TimedOut.into());
        }
        std::thread::sleep(LOOK);
    }
    let status = group.end()?;
    let exit = match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code.into()),
        (None, Some(signal)) => Exit::Signal(signal),
        (None, None) => Exit::Unknown,
    };
    Ok(Ran { exit, output })
}

/// A child that leads a process group, all of which ends with this.
struct Group {
    child: Child,
    /// Nothing of it is left: its number may be somebody else's.
    ended: bool,
}

impl Group {
    /// Whether the child has ended. It stays there, so that nobody else gets its number meanwhile.
    fn has_ended(&self) -> io::Result<bool> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        Ok(waitid(WaitId::Pid(Pid::from_child(&self.child)), options)?.is_some())
    }

    fn end(&mut self) -> io::Result<std::process::ExitStatus> {
        // Nothing of it may be left; that nothing is left is no failure.
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        self.ended = true;
        self.child.wait()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.ended {
            let _ = self.end();
        }
    }
}
