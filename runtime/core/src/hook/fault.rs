//! Failures on demand, for the tests of programs.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pillion_proto::{Call, CallGuard, CallHook, Cx, Error, Reason, Result};

/// The most faults that are kept at a time.
pub const MOST: usize = 1000;

/// Which calls fail, and how.
#[derive(Clone, Debug)]
pub struct Fault {
    /// The building block.
    pub block: String,
    /// One component of it; empty for all.
    pub component: String,
    /// One method, as in `get_many`; empty for all.
    pub operation: String,
    /// How many matching calls are let through first.
    pub after: u32,
    /// How many matching calls fail then; `None` for all.
    pub times: Option<NonZeroU32>,
    /// What they fail with.
    pub reason: Reason,
}

impl Fault {
    fn matches(&self, call: &Call<'_>) -> bool {
        let operation = call.info.operation.strip_prefix(call.info.block).map(|rest| rest.trim_start_matches('.'));
        self.block == call.info.block
            && (self.component.is_empty() || self.component == component(call))
            && (self.operation.is_empty() || Some(self.operation.as_str()) == operation)
    }

    fn error(&self, call: &Call<'_>) -> Error {
        let component = component(call);
        Error::new(self.reason, format!("component `{component}`: it fails because the test asked for it"))
            .component(component)
    }
}

/// The component that a call names, by its name: a block's default one bears that of the block.
fn component<'a>(call: &Call<'a>) -> &'a str {
    if call.component.is_empty() { call.info.block } else { call.component }
}

/// The faults that were asked for. As the last hook it stands where the component would: identity, traces,
/// metrics and deadlines are those of a call that its component failed.
#[derive(Default)]
pub struct Faults(Mutex<Vec<Fault>>);

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Faults({})", self.lock().len())
    }
}

impl Faults {
    fn lock(&self) -> MutexGuard<'_, Vec<Fault>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a fault behind those that are there.
    ///
    /// # Errors
    /// `component.exhausted` when there are [`MOST`] already.
    pub fn add(&self, fault: Fault) -> Result<()> {
        let mut faults = self.lock();
        if faults.len() >= MOST {
            return Err(Error::new(Reason::ComponentExhausted, format!("there are {MOST} faults already"))
                .advice("take them back with `Reset`"));
        }
        faults.push(fault);
        Ok(())
    }

    /// Takes all back.
    pub fn clear(&self) {
        self.lock().clear();
    }
}

impl CallHook for Faults {
    fn begin(&self, call: &Call<'_>, _: &mut Cx) -> Result<Option<Box<dyn CallGuard>>> {
        let mut faults = self.lock();
        for (place, fault) in faults.iter_mut().enumerate() {
            if !fault.matches(call) {
                continue;
            }
            if fault.after > 0 {
                fault.after -= 1;
                continue;
            }
            let error = fault.error(call);
            if let Some(times) = fault.times {
                fault.times = NonZeroU32::new(times.get() - 1);
                if fault.times.is_none() {
                    faults.remove(place);
                }
            }
            return Err(error);
        }
        Ok(None)
    }
}
