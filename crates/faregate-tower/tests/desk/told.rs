//! What listeners hear of tokens.

use faregate_core::{Kind, What};
use faregate_tower::{Heard, Subscription};
use faregate_types::Code;
use futures_util::FutureExt;

use super::collector::*;
use super::world::*;

fn heard(events: &mut Subscription) -> Vec<(Kind, bool)> {
    let mut all = Vec::new();
    while let Some(Some(Heard::Event(event))) =
        tokio::task::unconstrained(events.next()).now_or_never()
    {
        assert_eq!(&*event.route, "/joke");
        let is_loss = matches!(event.what, What::Failed { is_loss: true, .. });
        let about = event.payment.as_ref().map(|about| about.id);
        match event.what.kind() {
            Kind::Challenged => assert_eq!(about, None),
            _ => assert_eq!(about, Some(permit(0).payment_id())),
        }
        let told = format!("{event:?}");
        assert!(
            !told.contains("Bearer") && !told.contains("signature"),
            "{told}"
        );
        all.push((event.what.kind(), is_loss));
    }
    all
}

#[tokio::test]
async fn a_token_is_told_from_the_first_request_until_it_opens_the_route() {
    let world = World::new().await;
    let mut events = world.events.subscribe(Kind::ALL);
    let token = world.buy("/joke", &permit(0)).await.token();
    world.purchases.ended().await;
    let told = [
        Kind::Challenged,
        Kind::TokenAsked,
        Kind::Verified,
        Kind::TokenIssued,
        Kind::Settled,
    ];
    assert_eq!(heard(&mut events), told.map(|kind| (kind, false)));
    // Looked up, then known by its bytes.
    for _ in 0..3 {
        assert_eq!(world.open("/joke", &token).await.status, 200);
        assert_eq!(heard(&mut events), [(Kind::Authorised, false)]);
    }
    // The same permit gets the same token: asked for again, and nothing else is new.
    let endpoint = world.endpoint("/joke").await;
    heard(&mut events);
    world.post(&endpoint, written(&permit(0))).await;
    let asked = heard(&mut events);
    assert_eq!(asked.first(), Some(&(Kind::TokenAsked, false)));
    assert!(asked.len() == 1, "{asked:?}");
}

#[tokio::test]
async fn a_token_that_will_never_be_paid_is_told_as_a_loss() {
    let world = World::new().await;
    let mut events = world.events.subscribe([Kind::Failed, Kind::Refused]);
    world.script.then(End::Failed(Code::TransactionFailed));
    let token = world.buy("/joke", &permit(0)).await.token();
    world.purchases.ended().await;
    assert_eq!(heard(&mut events), [(Kind::Failed, true)]);
    assert_eq!(world.open("/joke", &token).await.status, 402);
}
