//! Where the futures of handlers lie while they live.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::Cell;
use std::ptr::NonNull;

/// The size classes of frames, in bytes; larger futures use the allocator each time.
const CLASSES: [usize; 6] = [128, 256, 512, 1024, 2048, 4096];
/// Every pooled frame has this alignment; a future that needs more uses the allocator.
const FRAME_ALIGN: usize = 64;
/// Free frames kept per class; more go back to the allocator.
const FREE_MAX: u32 = 1024;

/// A core's pool of frames: one free list per size class, linked through the free blocks.
pub(crate) struct Frames {
    free: [FreeList; CLASSES.len()],
}

/// The free blocks of a class.
#[derive(Default)]
struct FreeList {
    /// The one that was given back last: the next handler's, most of the time.
    warm: Cell<Option<NonNull<u8>>>,
    /// The first of the others, and how many there are.
    first: Cell<Option<NonNull<u8>>>,
    count: Cell<u32>,
}

impl Frames {
    pub(crate) fn new() -> Self {
        Self {
            free: Default::default(),
        }
    }

    /// An empty block for a future of this layout.
    #[inline]
    pub(super) fn take(&self, layout: Layout) -> NonNull<u8> {
        let Some(class) = class_of(layout) else {
            return allocate(layout);
        };
        match self.free[class].warm.take() {
            Some(block) => block,
            None => self.take_another(class),
        }
    }

    #[cold]
    #[inline(never)]
    fn take_another(&self, class: usize) -> NonNull<u8> {
        let list = &self.free[class];
        let Some(block) = list.first.get() else {
            return allocate(class_layout(class));
        };
        // SAFETY: a block on the free list holds the link that `give_another` wrote, and belongs to
        // nobody else until it is taken off, here.
        let next = unsafe { block.cast::<Option<NonNull<u8>>>().read() };
        list.first.set(next);
        list.count.set(list.count.get() - 1);
        block
    }

    /// Takes an empty block back that [`take`](Self::take) gave out for this layout.
    #[inline]
    pub(super) fn give(&self, block: NonNull<u8>, layout: Layout) {
        let Some(class) = class_of(layout) else {
            return free(block, layout);
        };
        if self.free[class].warm.get().is_some() {
            return self.give_another(block, class);
        }
        self.free[class].warm.set(Some(block));
    }

    #[cold]
    #[inline(never)]
    fn give_another(&self, block: NonNull<u8>, class: usize) {
        let list = &self.free[class];
        if list.count.get() >= FREE_MAX {
            return free(block, class_layout(class));
        }
        // SAFETY: the block is at least 128 bytes, aligned to 64, empty, and ours: a link fits.
        unsafe { block.cast::<Option<NonNull<u8>>>().write(list.first.get()) };
        list.first.set(Some(block));
        list.count.set(list.count.get() + 1);
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        for class in 0..CLASSES.len() {
            let list = &self.free[class];
            while list.warm.get().is_some() || list.count.get() > 0 {
                let block = self.take(class_layout(class));
                free(block, class_layout(class));
            }
        }
    }
}

/// The class that a future of this layout uses; a constant once inlined.
#[inline(always)]
const fn class_of(layout: Layout) -> Option<usize> {
    if layout.align() > FRAME_ALIGN {
        return None;
    }
    let mut class = 0;
    while class < CLASSES.len() {
        if layout.size() <= CLASSES[class] {
            return Some(class);
        }
        class += 1;
    }
    None
}

fn class_layout(class: usize) -> Layout {
    Layout::from_size_align(CLASSES[class], FRAME_ALIGN).expect("the classes are valid layouts")
}

/// The layout that a block for this future was allocated with: never empty, as a future without
/// bytes may still ask for an alignment beyond that of the classes.
fn block_layout(layout: Layout) -> Layout {
    match class_of(layout) {
        Some(class) => class_layout(class),
        None if layout.size() == 0 => Layout::from_size_align(layout.align(), layout.align())
            .expect("an alignment is a valid size of itself"),
        None => layout,
    }
}

#[cold]
fn allocate(layout: Layout) -> NonNull<u8> {
    let layout = block_layout(layout);
    // SAFETY: `block_layout` returns no layout of size zero.
    NonNull::new(unsafe { alloc(layout) }).unwrap_or_else(|| handle_alloc_error(layout))
}

#[cold]
fn free(block: NonNull<u8>, layout: Layout) {
    let layout = block_layout(layout);
    // SAFETY: `allocate` made the block with this very layout, which depends on the future's layout
    // alone.
    unsafe { dealloc(block.as_ptr(), layout) };
}
