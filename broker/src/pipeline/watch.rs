//! Hot reload: a rule file that is saved takes effect without a restart; a bad one leaves the old version running.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use tracing::{error, info};

use super::active::{ActiveRule, ActiveRules, Stamp, load_rule, rule_files};
use super::{BrokenRule, Pipeline, spawn};
use crate::report::chain;

/// How often the folder is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);

type Stamps = BTreeMap<PathBuf, Stamp>;

/// Starts looking at the folder, from what it was when the rules were last loaded.
pub(super) fn start(pipeline: &Arc<Pipeline>, stamps: Stamps) {
    let pipeline = Arc::downgrade(pipeline);
    spawn("watch", move || watch(&pipeline, stamps));
}

fn watch(pipeline: &Weak<Pipeline>, mut stamps: Stamps) {
    loop {
        thread::sleep(LOOK_EVERY);
        let Some(pipeline) = pipeline.upgrade() else { return };
        // A folder that cannot be read for a moment changes nothing.
        let Ok(now) = rule_files(&pipeline.rules_directory) else { continue };
        if now != stamps {
            stamps = pipeline.reload();
        }
    }
}

impl Pipeline {
    /// Loads what has changed, swaps the set, and says what happened. Gives the state of the folder it has read.
    pub(super) fn reload(&self) -> Stamps {
        let stamps = match rule_files(&self.rules_directory) {
            Ok(stamps) => stamps,
            Err(error) => {
                error!("rules: {}", chain(&error));
                return Stamps::new();
            }
        };
        let before = self.active.load_full();
        let mut rules = Vec::new();
        let mut broken = Vec::new();
        let mut fresh = Vec::new();
        for path in stamps.keys() {
            let old = before.rules.iter().find(|active| Path::new(&active.rule.file) == path);
            match load_rule(&self.engine, path) {
                Ok(rule) if old.is_some_and(|old| old.rule.source() == rule.source()) => {
                    rules.extend(old.cloned());
                }
                Ok(rule) => {
                    let active = Arc::new(ActiveRule::new(Arc::new(rule)));
                    fresh.push(Arc::clone(&active));
                    rules.push(active);
                }
                Err(error) => {
                    let kept =
                        if old.is_some() { "the version before stays active" } else { "it is not active" };
                    error!("rules: {}: {kept}\n{}", path.display(), chain(&error));
                    broken.push(BrokenRule { file: path.display().to_string(), error: chain(&error) });
                    rules.extend(old.cloned());
                }
            }
        }
        *self.broken.lock().unwrap_or_else(PoisonError::into_inner) = broken;
        let mut behind = Vec::new();
        for active in &fresh {
            match self.enlist(active) {
                Ok(its) => behind.extend(its.into_iter().map(|its| (Arc::clone(active), its))),
                Err(error) => {
                    error!(rule = %active.rule.name, %error, "a rule's place in the log cannot be read");
                }
            }
        }
        let gone: Vec<_> = before
            .rules
            .iter()
            .filter(|old| rules.iter().all(|rule| rule.rule.name != old.rule.name))
            .collect();
        for rule in gone {
            info!(rule = %rule.rule.name, "rule removed");
        }
        // What was put aside goes first; then what is put aside until the swap.
        for active in &fresh {
            self.resume(active);
        }
        self.active.store(Arc::new(ActiveRules::new(rules)));
        self.bump_generation();
        for active in &fresh {
            info!(rule = %active.rule.name, version = %active.rule.version, "rule active");
            self.resume(active);
        }
        for (active, its) in behind {
            if let Err(error) = self.catch_up(&active, &its) {
                error!(rule = %active.rule.name, %error, "a new trigger cannot catch up with what the log holds");
            }
        }
        stamps
    }
}
