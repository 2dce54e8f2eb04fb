//! The implementers of the generated traits.

pub mod actuator;
#[cfg(feature = "shapes")]
pub mod shapes;
pub mod state;

pub use actuator::Actuator;
#[cfg(feature = "shapes")]
pub use shapes::Shapes;
pub use state::States;
