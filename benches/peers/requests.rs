//! The peers' middleware, as it is by default.

use std::time::Duration;

use actix_web::test::init_service;
use actix_web::{App, web};
use actix_web_prom::PrometheusMetricsBuilder;
use axum_prometheus::PrometheusMetricLayer;
use tower_layer::Layer;

use crate::actix_app;
use crate::http::{Around, Null, ROUTE, axum_app, now, send_actix, send_tower};
use crate::measure::Candidate;
use crate::plain::run_upkeep;

pub(crate) fn candidates(around: Around) -> Vec<Candidate<'static>> {
    vec![match around {
        Around::Nothing => {
            let layer = PrometheusMetricLayer::new();
            axum_prometheus(move || send_tower(layer.layer(Null)))
        }
        Around::Axum => {
            let mut app = axum_app().layer(PrometheusMetricLayer::new());
            axum_prometheus(move || send_tower(&mut app))
        }
        Around::Actix => {
            let layer = PrometheusMetricsBuilder::new("peer").build().unwrap();
            let app = actix_app!(layer);
            Candidate::peer("actix-web-prom", move || send_actix(&app))
        }
    }]
}

/// What it hands to its exporter is looked at between rounds, as its own task would do now and then.
fn axum_prometheus(mut send: impl FnMut() -> Duration + 'static) -> Candidate<'static> {
    Candidate::peer("axum-prometheus", move || {
        let took = send();
        run_upkeep();
        took
    })
}
