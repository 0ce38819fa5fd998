//! Stable codes, each written down once: in the match that gives a value its own.

/// Gives an enum `code`, the code of a value, and `CODES`, all there are: the compiler lets no variant be missing from
/// the match, and so none from the list. Behind `nested` come variants that hold an enum with codes of its own;
/// `codes` then has those too.
macro_rules! codes {
    ($kind:ident { $($pattern:pat => $code:literal,)+ }) => {
        impl $kind {
            /// Every code that there is.
            pub const CODES: &'static [&'static str] = &[$($code),+];

            /// The stable code of this problem.
            pub fn code(&self) -> &'static str {
                match self {
                    $($pattern => $code,)+
                }
            }
        }
    };
    ($kind:ident { $($pattern:pat => $code:literal,)+ } nested { $($variant:ident: $inner:ident,)+ }) => {
        impl $kind {
            /// Every code that there is.
            pub fn codes() -> impl Iterator<Item = &'static str> {
                let own: &[&str] = &[$($code),+];
                [own, $($inner::CODES),+].into_iter().flatten().copied()
            }

            /// The stable code of this failure.
            pub fn code(&self) -> &'static str {
                match self {
                    $(Self::$variant(inner) => inner.code(),)+
                    $($pattern => $code,)+
                }
            }
        }
    };
}

pub(crate) use codes;
