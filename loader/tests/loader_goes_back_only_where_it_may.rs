//! Over an image the registered digest is the authority, and an older one is a rollback; over a CDN the signed
//! sequence is, and it never goes back (contract §4).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected is to fail, and it makes its own files"
)]

mod common;

use common::Home;
use common::tree::{Tree, Version};

#[tokio::test]
async fn an_older_image_is_a_rollback() {
    let tree = Tree::new();
    let loader = Home::new().start();
    tree.publish(&Version::domain("notes", "1.0.0", "/notes"));
    let first = loader.image(&tree, "notes");
    tree.publish(&Version::domain("notes", "1.1.0", "/notes"));
    let second = loader.image(&tree, "notes");

    for (image, version, sequence) in
        [(&first, "1.0.0", 1), (&second, "1.1.0", 2), (&first, "1.0.0", 1), (&second, "1.1.0", 2)]
    {
        loader.register([image.clone()]);
        let said = loader.in_place(image).await;
        assert_eq!(said.sequence, Some(sequence));
        assert_eq!(loader.index("notes").unwrap().active_version.to_string(), version);
    }
}

#[tokio::test]
async fn a_cdn_never_goes_back_whatever_happens_in_between() {
    let tree = Tree::new();
    tree.publish(&Version::domain("notes", "1.0.0", "/notes"));
    let old = tree.index_bytes("notes");
    tree.publish(&Version::domain("notes", "1.1.0", "/notes"));
    let new = tree.index_bytes("notes");

    let loader = Home::new().start();
    let cdn = loader.cdn(&tree, "notes");
    loader.register([cdn.clone()]);
    loader.in_place(&cdn).await;
    tree.write_index("notes", &old);
    let error = loader.failed("notes", "index-sequence-lower").await;
    assert!(error.message.contains('1') && error.message.contains('2'), "{error:?}");
    assert_eq!(loader.index("notes").unwrap().sequence, 2);

    // Neither a restart nor taking it out and registering it again makes it forget.
    let loader = loader.stop().await.start();
    loader.register([loader.cdn(&tree, "notes")]);
    loader.failed("notes", "index-sequence-lower").await;
    assert_eq!(loader.index("notes").unwrap().sequence, 2);
    loader.register([]);
    loader.gone("notes").await;
    let loader = loader.stop().await.start();
    loader.register([loader.cdn(&tree, "notes")]);
    loader.failed("notes", "index-sequence-lower").await;
    assert!(loader.index("notes").is_none());

    tree.write_index("notes", &new);
    loader.in_place(&cdn).await;
}

#[tokio::test]
async fn what_an_image_brought_does_not_bind_a_cdn() {
    let tree = Tree::new();
    tree.publish(&Version::domain("notes", "1.0.0", "/notes"));
    let cdn_tree = Tree::new();
    let version = Version::domain("notes", "2.0.0", "/notes");
    cdn_tree.publish(&version);
    tree.publish(&Version::domain("notes", "1.1.0", "/notes"));
    let loader = Home::new().start();
    let image = loader.image(&tree, "notes");
    loader.register([image.clone()]);
    assert_eq!(loader.in_place(&image).await.sequence, Some(2));
    let cdn = loader.cdn(&cdn_tree, "notes");
    loader.register([cdn.clone()]);
    assert_eq!(loader.in_place(&cdn).await.sequence, Some(1));
}
