//! How the program ends.

/// How the program ends. The help lists the statuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Well,
    /// A bound was missed.
    Missed,
    /// The command line is wrong.
    Usage,
    /// Nothing could be measured.
    NotStarted,
    /// Connections broke midway.
    Broken,
    /// The user has ended it.
    Interrupted,
}

impl Exit {
    pub(crate) fn status(self) -> u8 {
        match self {
            Self::Well => 0,
            Self::Missed => 1,
            Self::Usage => 2,
            Self::NotStarted => 3,
            Self::Broken => 4,
            // As shells say of a program that Ctrl-C has ended.
            Self::Interrupted => 130,
        }
    }
}
