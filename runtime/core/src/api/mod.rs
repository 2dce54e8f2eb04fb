//! The implementers of the generated traits.

pub mod actuator;
#[cfg(feature = "testing")]
pub mod shapes;
pub mod state;

pub use actuator::Actuator;
#[cfg(feature = "testing")]
pub use shapes::Shapes;
pub use state::States;
