//! What a cell knows of the type of its value.

use std::any::{TypeId, type_name};
use std::marker::PhantomData;

use super::payload::{Payload, Place};
use super::{Catalog, Entry, INLINE_BYTES};

/// What a cell knows of the type of its value, once for each type and catalog.
///
/// Equal contents may lie at several addresses (one for each unit of compilation), so two vtables are
/// compared by `type_id`, never by address.
pub(super) struct VTable<M: 'static> {
    pub(super) type_id: TypeId,
    /// Drops the value and frees its block; `None` if there is nothing to do for either.
    pub(super) drop_payload: Option<DropPayload>,
    pub(super) meta: &'static M,
    /// A function, since the name is not available to constants.
    pub(super) type_name: fn() -> &'static str,
    pub(super) is_inline: bool,
}

/// Drops the value in a payload; see [`Payload::drop_value`] for what the caller must uphold.
type DropPayload = unsafe fn(&mut Payload<INLINE_BYTES>);

/// The type `T` as the catalog `C` describes it; exists for its constant.
pub(super) struct Described<C, T>(PhantomData<(C, T)>);

impl<C: Entry<T>, T: 'static> Described<C, T> {
    pub(super) const VTABLE: &'static VTable<<C as Catalog>::Meta> = &VTable {
        type_id: TypeId::of::<T>(),
        drop_payload: if Payload::<INLINE_BYTES>::needs_drop::<T>() {
            Some(Payload::drop_value::<T>)
        } else {
            None
        },
        meta: <C as Entry<T>>::META,
        type_name: type_name::<T>,
        is_inline: matches!(Payload::<INLINE_BYTES>::place::<T>(), Place::Inline),
    };
}
