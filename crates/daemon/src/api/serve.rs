//! Handlers in the places of the API's table, where the compiler sees that each answers what the table says.

use std::convert::Infallible;
use std::marker::PhantomData;
use std::sync::Arc;

use axum::Json;
use axum::handler::Handler;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use mainstay_api::endpoints::{Endpoint, For, Method, Stream};

use super::Context;
use crate::message::Refused;

/// A handler and its method.
pub(super) type Served = MethodRouter<Arc<Context>, Infallible>;

/// Serves the endpoint `E`.
pub(super) fn serve<E, H, T, U>(handler: H) -> For<E, Served>
where
    E: Endpoint,
    H: Handler<T, Arc<Context>> + Answers<E, U>,
    T: 'static,
{
    For::new(match E::METHOD {
        Method::Get => get(handler),
        Method::Post => post(handler),
    })
}

/// A handler that answers what `E` promises. `U` has its arguments and what it gives.
pub(super) trait Answers<E, U> {}

macro_rules! answers {
    ($($argument:ident),+) => {
        impl<E, F, Fut, R, $($argument),+> Answers<E, (R, $($argument),+)> for F
        where
            E: Endpoint,
            F: Fn($($argument),+) -> Fut,
            Fut: Future<Output = Result<R, Refused>>,
            R: Gives<E::Answer>,
        {
        }
    };
}
answers!(A);
answers!(A, B);
answers!(A, B, C);
answers!(A, B, C, D);
answers!(A, B, C, D, G);

/// A response whose body is an `A`.
pub(super) trait Gives<A> {}

impl<T> Gives<T> for Json<T> {}
impl<T> Gives<Stream<T>> for Streamed<T> {}

/// A response that is a stream of `T`.
pub(super) struct Streamed<T>(Response, PhantomData<T>);

impl<T> Streamed<T> {
    /// Of this response, whose pieces are made elsewhere.
    pub fn new(response: Response) -> Streamed<T> {
        Streamed(response, PhantomData)
    }
}

impl<T> IntoResponse for Streamed<T> {
    fn into_response(self) -> Response {
        self.0
    }
}
