//! What an arm cannot see, and why. Loom sees everything.

/// A mutant that none of the models can meet: the line of its call, the change, and the reason.
type Unseen = (&'static str, &'static str, &'static str);

/// By shuttle.
const SHUTTLE: &[Unseen] = &[(
    "self.head.swap(CLOSED, Acquire)",
    "skip",
    "what is pushed after the close is leaked, and nobody counts",
)];

/// By a thread sanitizer.
const SANITIZER: &[Unseen] = &[
    (
        "self.shared.is_ended.load(Acquire)",
        "first:Relaxed",
        "it orders the last flag, which is atomic",
    ),
    (
        "self.shared.is_ended.store(true, Release);",
        "first:Relaxed",
        "it orders the last flag, which is atomic",
    ),
    (
        "self.word.fetch_add(change, Release);",
        "first:Relaxed",
        "whoever takes the permit has taken the lock after",
    ),
    (
        "if node.queued.swap(true, AcqRel) {",
        "first:Acquire",
        "what a wake that was absorbed had written is under a lock in the models",
    ),
    (
        "node.queued.swap(false, AcqRel);",
        "first:Release",
        "what a wake that was absorbed had written is under a lock in the models",
    ),
    (
        "self.shown.store(thing, Ordering::Release);",
        "first:Relaxed",
        CHANCE,
    ),
    (
        "!self.looking.load(Ordering::Acquire)",
        "first:Relaxed",
        CHANCE,
    ),
    (
        "let shown = self.shown.load(Ordering::Acquire);",
        "first:Relaxed",
        CHANCE,
    ),
    (
        "self.looking.store(false, Ordering::Release);",
        "first:Relaxed",
        CHANCE,
    ),
    (
        "match self.word.state.swap(AWAKE, Acquire) {",
        "first:Relaxed",
        CHANCE,
    ),
];

/// Real threads do not always come to where it shows.
const CHANCE: &str = "it is seen by chance: in some of several thousand runs, or in none";

/// Those of the arm that is built.
const UNSEEN: &[Unseen] = if cfg!(loom) {
    &[]
} else if cfg!(shuttle) {
    SHUTTLE
} else {
    SANITIZER
};

/// Why a change of the call in this line cannot be seen, if so.
pub(crate) fn reason(line: &str, change: &str) -> Option<&'static str> {
    let mut unseen = UNSEEN.iter();
    let (.., reason) = unseen.find(|(text, what, _)| *text == line.trim() && *what == change)?;
    Some(reason)
}

/// How many mutants of the whole list there should be for which there is a reason.
pub(crate) const COUNT: usize = UNSEEN.len();
