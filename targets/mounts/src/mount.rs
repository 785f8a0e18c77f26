//! The side of the process that tests.

use crate::keeper::{Place, Reply, Request};
use crate::recipe::Recipe;
use crate::restart::Restart;
use crate::{Trouble, system, trouble, wait_for};
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A file system made for this process, mounted where only those see it who enter. When it is dropped, or this
/// process ends in whatever way, its keeper gives everything back.
#[derive(Debug)]
pub struct Mount {
    recipe: Recipe,
    place: Place,
    keeper: Child,
    stream: UnixStream,
    /// The number of the last request, held while it is under way.
    requests: Mutex<u64>,
}

/// How long dropping a mount waits for its keeper, turns of 10 ms.
const PATIENCE: u32 = 1000;

impl Mount {
    /// Makes and mounts a file system. `keeper` is a command that calls [`crate::keeper::serve`] in a process of its
    /// own and nothing else.
    ///
    /// # Errors
    /// A sentence that says what is missing, who is in the way, or what mkfs did not like.
    pub fn make(mut keeper: Command, recipe: Recipe) -> Result<Mount, Trouble> {
        let (stream, theirs) = UnixStream::pair().map_err(|error| trouble("a socket for the keeper", error))?;
        // In a process group of its own it does not hear the terminal's Ctrl-C, which is meant for its parent.
        keeper.stdin(OwnedFd::from(theirs)).stdout(Stdio::null()).current_dir("/").process_group(0);
        let mut child = keeper.spawn().map_err(|error| trouble("starting the keeper of a mount", error))?;
        // It holds the other end of the socket, and only the child may.
        drop(keeper);
        match ask(&stream, &recipe) {
            Ok(Some(Reply::Mounted(place))) => {
                Ok(Mount { recipe, place, keeper: child, stream, requests: Mutex::new(0) })
            }
            answer => {
                let _ = stream.shutdown(Shutdown::Both);
                let status = child.wait().map_err(|error| trouble("the keeper of a mount", error))?;
                Err(match answer? {
                    Some(Reply::Refused { why }) => Trouble::new(why),
                    _ => Trouble::new(format!("the keeper of a mount died: {status}")),
                })
            }
        }
    }

    /// What it was made from.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// Where it is mounted, for those who have entered.
    pub fn dir(&self) -> &Path {
        &self.place.dir
    }

    /// For [`enter`] in a process that this one starts.
    pub fn namespace(&self) -> &Path {
        &self.place.namespace
    }

    /// The block device it is on; none for tmpfs.
    pub fn device(&self) -> Option<&Path> {
        self.place.device.as_deref()
    }

    /// Has the file system unmounted and mounted again, and waits for that so long at most. Who has a file open there
    /// closes it first.
    ///
    /// # Errors
    /// If the keeper is gone, somebody has a file open, or the file system did not come up and cannot be made again.
    pub fn restart(&self, patience: Duration) -> Result<Restart, Trouble> {
        let mut number = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        *number += 1;
        let request =
            serde_json::to_string(&Request { number: *number }).map_err(|error| trouble("a request", error))?;
        let gone = |error| trouble("the keeper of the mount is gone", error);
        writeln!(&self.stream, "{request}").map_err(gone)?;
        self.stream.set_read_timeout(Some(patience.max(Duration::from_millis(1)))).map_err(gone)?;
        loop {
            let mut line = String::new();
            match BufReader::new(&self.stream).read_line(&mut line) {
                Ok(0) => return Err(Trouble::new("the keeper of the mount is gone")),
                Ok(_) => match serde_json::from_str(&line) {
                    Ok(Reply::Restarted { number: of, restart }) if of == *number => return Ok(restart),
                    Ok(Reply::Gone { number: of, why }) if of == *number => return Err(Trouble::new(why)),
                    // What somebody did not wait for.
                    _ => {}
                },
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Ok(Restart::Hung);
                }
                Err(error) => return Err(gone(error)),
            }
        }
    }

    /// Gives the calling thread, and what it starts, the mounts among which this one is. For good.
    pub fn enter(&self) -> Result<(), Trouble> {
        enter(self.namespace())
    }
}

/// As [`Mount::enter`], from another process.
pub fn enter(namespace: &Path) -> Result<(), Trouble> {
    let file = File::open(namespace).map_err(|error| trouble("the keeper of the mount is gone", error))?;
    ffi::enter_mounts(&file).map_err(|error| trouble("entering the keeper's mounts", system(error)))
}

/// None if the keeper ended instead of answering.
fn ask(stream: &UnixStream, recipe: &Recipe) -> Result<Option<Reply>, Trouble> {
    let mut line = serde_json::to_string(recipe).map_err(|error| trouble("writing a recipe", error))?;
    line.push('\n');
    // A keeper that is gone already shows when its answer is read.
    let _ = { stream }.write_all(line.as_bytes());
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).map_err(|error| trouble("the keeper's answer", error))?;
    Ok(serde_json::from_str(&answer).ok())
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Both);
        if !wait_for(PATIENCE, || !matches!(self.keeper.try_wait(), Ok(None))) {
            let (recipe, keeper) = (&self.recipe, self.keeper.id());
            eprintln!("a process still uses {recipe}: process {keeper} waits for its end and gives everything back");
        }
    }
}
