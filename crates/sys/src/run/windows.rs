//! In a job of its own.

use std::fs::File;
use std::io::{self, Write};
use std::os::windows::io::OwnedHandle;
use std::sync::mpsc::channel;
use std::time::Instant;

use windows_sys::Win32::Foundation::{WAIT_OBJECT_0, WAIT_TIMEOUT};
use windows_sys::Win32::System::JobObjects::JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE;
use windows_sys::Win32::System::Threading::{CREATE_NO_WINDOW, GetExitCodeProcess, WaitForSingleObject};

use super::{Asked, Ran};
use crate::Exit;
use crate::private::read_all;
use crate::win::job::Job;
use crate::win::launch::{Launch, launch};
use crate::win::{self, check, duplicate, milliseconds, open_null, raw};

pub(super) fn run(asked: &Asked<'_>) -> io::Result<Ran> {
    let (application, command_line) = crate::spawn::windows::program_and_line(asked.command)?;
    // Ends with this function, and everything in it.
    let job = Job::anonymous(JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE)?;
    let ((their_input, input), (output, their_output)) = (io::pipe()?, io::pipe()?);
    let inheritable = |handle: OwnedHandle| duplicate(raw(&handle), true);
    let (stdin, stdout) = (inheritable(their_input.into())?, inheritable(their_output.into())?);
    let null = inheritable(open_null()?)?;
    let made = launch(Launch {
        application: &application,
        command_line,
        environment: None,
        working_dir: None,
        stdio: [&stdin, &stdout, &null],
        handles: &[],
        jobs: &[job.handle()],
        flags: CREATE_NO_WINDOW,
        affinity: None,
        token: None,
        desktop: None,
    })?;
    // Theirs alone now: our copies would keep the pipe open.
    drop((stdin, stdout, null));
    let deadline = Instant::now() + asked.limit;
    let (bytes, most) = (zeroize::Zeroizing::new(asked.input.to_vec()), asked.most);
    let (done, read) = channel();
    // On threads, as either may take as long as it likes. They end when the pipes do, with the job at the latest.
    std::thread::Builder::new().name("input".to_owned()).spawn(move || {
        // It need not read it.
        let _ = File::from(OwnedHandle::from(input)).write_all(&bytes);
    })?;
    std::thread::Builder::new().name("output".to_owned()).spawn(move || {
        let _ = done.send(read_all(&mut File::from(OwnedHandle::from(output)), most));
    })?;
    let output = read.recv_timeout(asked.limit).map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    let left = deadline.saturating_duration_since(Instant::now());
    // SAFETY: the handle is open.
    match unsafe { WaitForSingleObject(win::raw(&made.process), milliseconds(Some(left))) } {
        WAIT_OBJECT_0 => {}
        WAIT_TIMEOUT => return Err(io::ErrorKind::TimedOut.into()),
        _ => return Err(io::Error::last_os_error()),
    }
    let mut code = 0;
    // SAFETY: the handle is open, and `code` outlives the call.
    check(unsafe { GetExitCodeProcess(raw(&made.process), &mut code) })?;
    Ok(Ran { exit: Exit::Code(code.into()), output })
}
