//! Hot reload: a rule file that is saved takes effect without a restart; a bad one leaves the old version running.

use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use super::active::Folder;
use crate::pipeline::{Pipeline, spawn};

/// How often the folder is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Starts looking at the folder, from what it was when the rules were last loaded.
pub(in crate::pipeline) fn start(pipeline: &Arc<Pipeline>, folder: Folder) {
    let pipeline = Arc::downgrade(pipeline);
    spawn("watch", move || watch(&pipeline, folder));
}

fn watch(pipeline: &Weak<Pipeline>, mut folder: Folder) {
    loop {
        thread::sleep(LOOK_EVERY);
        let Some(pipeline) = pipeline.upgrade() else { return };
        pipeline.take_up_resumed();
        // A folder that cannot be read for a moment changes nothing.
        let Ok(now) = Folder::look(&pipeline.rules_directory) else { continue };
        if now != folder {
            folder = pipeline.reload();
        }
    }
}
