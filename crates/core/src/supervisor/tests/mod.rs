mod apply;
mod dependencies;
mod going_down;
mod leaving;
mod properties;
mod requests;
mod scale;
mod snapshots;
