//! What is done before a signal ends the program.

#[cfg(unix)]
pub(crate) use unix::before_end;

/// Without Unix signals, there is nothing to wait for.
#[cfg(not(unix))]
pub(crate) fn before_end(_: fn()) {}

#[cfg(unix)]
mod unix {
    use std::fs;
    use std::sync::{Mutex, Once, PoisonError, mpsc};
    use std::thread;

    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;
    use signal_hook::low_level::emulate_default_handler;

    static CLEANUPS: Mutex<Vec<fn()>> = Mutex::new(Vec::new());

    /// Has the signals that end a program call `cleanup` first, on a thread of their own; then they end it as they
    /// would have. Where signals cannot be watched, they end it at once.
    pub(crate) fn before_end(cleanup: fn()) {
        static WATCHED: Once = Once::new();
        CLEANUPS.lock().unwrap_or_else(PoisonError::into_inner).push(cleanup);
        WATCHED.call_once(|| {
            let (ready, watched) = mpsc::channel();
            let watch = move || {
                let Ok(mut signals) = Signals::new(deadly()) else { return };
                let _ = ready.send(());
                for signal in signals.forever() {
                    for cleanup in CLEANUPS.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                        cleanup();
                    }
                    let _ = emulate_default_handler(signal);
                }
            };
            if thread::Builder::new().name("signals".to_owned()).spawn(watch).is_ok() {
                let _ = watched.recv();
            }
        });
    }

    /// The signals that would end this program; what its caller had it ignore (`nohup`), it goes on to ignore.
    fn deadly() -> Vec<i32> {
        match fs::read_to_string("/proc/self/status").ok().as_deref().and_then(ignored) {
            Some(ignored) => {
                [SIGHUP, SIGINT, SIGTERM].into_iter().filter(|n| ignored >> (n - 1) & 1 == 0).collect()
            }
            // only Linux tells, and only SIGHUP is commonly ignored
            None => vec![SIGINT, SIGTERM],
        }
    }

    /// The mask of ignored signals in the status of a process, as proc(5) has it.
    fn ignored(status: &str) -> Option<u64> {
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
        u64::from_str_radix(mask.trim(), 16).ok()
    }
}
