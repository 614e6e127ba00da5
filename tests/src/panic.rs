//! What a panic said, and where.

use std::any::Any;
use std::sync::Once;

/// Its message, for people.
#[must_use]
pub fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}

/// From now on a panic is told in a line, without the frames that led to it: to name those, the program's own debugging
/// information is read, which takes more memory than most of what is measured.
pub fn tell_without_frames() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| std::panic::set_hook(Box::new(|panic| eprintln!("{panic}"))));
}
