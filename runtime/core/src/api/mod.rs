//! The implementers of the generated traits.

pub mod actuator;
#[cfg(feature = "shapes")]
pub mod shapes;
pub mod state;
#[cfg(feature = "testing")]
pub mod testing;

pub use actuator::Actuator;
#[cfg(feature = "shapes")]
pub use shapes::Shapes;
pub use state::States;
#[cfg(feature = "testing")]
pub use testing::Testing;
