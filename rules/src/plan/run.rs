//! Doing what a plan says.

use std::borrow::Cow;
use std::cell::{Cell, OnceCell};
use std::mem;

use bytes::Bytes;
use smallvec::SmallVec;

use super::item::{Item, within_limits};
use super::members::{Member, MemberIndex, Members};
use super::{Block, Field, Plan, Publish, Put, Step, Value};
use crate::effect::Outcome;
use crate::event::SharedMessage;
use crate::natives;
use crate::state::Run;
use crate::topic::LevelFilter;

impl Plan {
    /// What the handler does with a message; `None` if that takes the interpreter.
    pub(crate) fn run(&self, message: &SharedMessage, levels: &LevelFilter, run: Run) -> Option<Outcome> {
        let text_bytes = message.message.topic.len()
            + message.message.client_id.len()
            + message.message.user.as_ref().map_or(0, |user| user.len());
        if text_bytes > run.limits.string_bytes_max {
            return None;
        }
        let mut frame = Frame {
            plan: self,
            message,
            levels,
            members: OnceCell::new(),
            variables: SmallVec::new(),
            worked_on: Cell::new(message.message.payload.len()),
            run,
        };
        frame.block(&self.body)?;
        let Frame { worked_on, run: Run { effects, effect_bytes, .. }, .. } = frame;
        let operations = self.operations + ((worked_on.get() + effect_bytes) / 256) as u64;
        Some(Outcome { effects, operations, ..Outcome::default() })
    }
}

/// A plan that is being done.
struct Frame<'run> {
    plan: &'run Plan,
    message: &'run SharedMessage,
    levels: &'run LevelFilter,
    /// Found when the first of them is looked at.
    members: OnceCell<Option<Members<'run>>>,
    variables: SmallVec<[Item<'run>; 4]>,
    /// Bytes that were read or copied.
    worked_on: Cell<usize>,
    run: Run,
}

/// Whether the handler goes on after a step.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Then {
    GoOn,
    Return,
}

impl<'run> Frame<'run> {
    fn block(&mut self, block: &'run Block) -> Option<Then> {
        for step in &block.steps {
            if self.step(step)? == Then::Return {
                return Some(Then::Return);
            }
        }
        self.variables.truncate(block.variables_before);
        Some(Then::GoOn)
    }

    fn step(&mut self, step: &'run Step) -> Option<Then> {
        match step {
            Step::Block(block) => return self.block(block),
            Step::If(step) => {
                let branch = if self.truth(&step.condition)? { &step.then } else { &step.otherwise };
                return self.block(branch);
            }
            Step::Let(value) => {
                let value = self.evaluate(value)?;
                self.variables.push(value);
            }
            Step::Look(member) => _ = self.member(*member)?,
            Step::Publish(step) => self.publish(step)?,
            Step::Put(step) => self.put(step)?,
            Step::Return => return Some(Then::Return),
        }
        Some(Then::GoOn)
    }

    fn publish(&mut self, step: &'run Publish) -> Option<()> {
        let topic = self.evaluate(&step.topic)?.into_text()?;
        let payload = self.payload(&step.payload)?;
        let Item::Int(qos @ 0..=2) = self.evaluate(&step.qos)? else { return None };
        let Item::Bool(retain) = self.evaluate(&step.retain)? else { return None };
        natives::check_publish_topic(&topic).ok()?;
        let qos = u8::try_from(qos).ok()?;
        natives::ask_publish(&mut self.run, topic.into_owned(), payload, qos, retain, None).ok()
    }

    fn put(&mut self, step: &'run Put) -> Option<()> {
        // Of an indexed table more is written, and read before.
        if !self.run.indexes_of(&step.table).is_empty() {
            return None;
        }
        let (hash, sort) = (self.key_part(&step.hash)?, self.key_part(&step.sort)?);
        if hash.is_empty() {
            return None;
        }
        let value = self.written(&step.value)?.into();
        natives::ask_put(&mut self.run, &step.table, (hash, sort), value, step.ttl).ok()
    }

    fn key_part(&self, part: &'run Value) -> Option<String> {
        let text = match self.evaluate(part)? {
            Item::Int(number) => number.to_string(),
            other => other.into_text()?.into_owned(),
        };
        (text.len() <= self.run.limits.key_bytes_max && !text.contains('\0')).then_some(text)
    }

    /// A text is sent as it is, anything else as JSON.
    fn payload(&self, value: &'run Value) -> Option<Bytes> {
        match value {
            Value::Object(_) | Value::Array(_) => {}
            plain => match self.evaluate(plain)? {
                Item::Bytes(bytes) => return Some(bytes.clone()),
                Item::Quoted(text) => return Some(Bytes::copy_from_slice(text.as_bytes())),
                Item::Text(text) => return Some(Bytes::from(text.into_owned())),
                other => {
                    let mut out = Vec::with_capacity(128);
                    self.write_item(&other, &mut out)?;
                    return within_limits(out, &self.run.limits).map(Bytes::from);
                }
            },
        }
        self.written(value).map(Bytes::from)
    }

    /// A value as JSON.
    fn written(&self, value: &'run Value) -> Option<String> {
        let mut out = Vec::with_capacity(128);
        self.write(value, &mut out)?;
        within_limits(out, &self.run.limits)
    }

    /// Appends a value as JSON.
    fn write(&self, value: &'run Value, out: &mut Vec<u8>) -> Option<()> {
        match value {
            Value::Array(elements) => {
                out.push(b'[');
                for (at, element) in elements.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    self.write(element, out)?;
                }
                out.push(b']');
                Some(())
            }
            Value::Object(members) => {
                let mut before = b'{';
                for (name, value) in members {
                    out.push(mem::replace(&mut before, b','));
                    out.extend_from_slice(name.as_bytes());
                    self.write(value, out)?;
                }
                if members.is_empty() {
                    out.push(b'{');
                }
                out.push(b'}');
                Some(())
            }
            other => self.write_item(&self.evaluate(other)?, out),
        }
    }

    #[inline]
    fn write_item(&self, item: &Item<'run>, out: &mut Vec<u8>) -> Option<()> {
        let before = out.len();
        item.write(&self.run.limits, out)?;
        self.work_on(item.bytes() + out.len() - before)?;
        (out.len() <= self.run.limits.string_bytes_max).then_some(())
    }

    /// Counts what takes time by its length, and gives up on much of it: the interpreter looks at the clock.
    #[inline]
    fn work_on(&self, bytes: usize) -> Option<()> {
        const WORK_BYTES_MAX: usize = 1 << 20;
        self.worked_on.set(self.worked_on.get() + bytes);
        (self.worked_on.get() <= WORK_BYTES_MAX).then_some(())
    }

    fn truth(&self, value: &'run Value) -> Option<bool> {
        match self.evaluate(value)? {
            Item::Bool(truth) => Some(truth),
            _ => None,
        }
    }

    fn evaluate(&self, value: &'run Value) -> Option<Item<'run>> {
        Some(match value {
            Value::All(conditions) => Item::Bool(!self.is_any(conditions, false)?),
            Value::Any(conditions) => Item::Bool(self.is_any(conditions, true)?),
            Value::Array(_) | Value::Object(_) => Item::Written(Cow::Owned(self.written(value)?)),
            Value::Bool(truth) => Item::Bool(*truth),
            Value::Compare(comparison, sides) => {
                let (left, right) = (self.evaluate(&sides[0])?, self.evaluate(&sides[1])?);
                Item::Bool(comparison.holds(&left, &right)?)
            }
            Value::Field(field) => self.field(*field)?,
            Value::FirstOf(values) => {
                for value in values {
                    let item = self.evaluate(value)?;
                    if !matches!(item, Item::Unit) {
                        return Some(item);
                    }
                }
                Item::Unit
            }
            Value::Float(number) => Item::Float(*number),
            Value::Has(member) => Item::Bool(self.member(*member)? != Member::Missing),
            Value::Int(number) => Item::Int(*number),
            Value::Member(member) => match self.member(*member)? {
                Member::Missing => Item::Unit,
                Member::Text(text) => {
                    // Strings are looked through for what is escaped, each time.
                    self.work_on(if text.starts_with('"') { text.len() } else { 0 })?;
                    Item::of_json(text)?
                }
            },
            Value::Not(condition) => Item::Bool(!self.truth(condition)?),
            Value::Param(name) => {
                let mut params = self.levels.params(&self.message.message.topic);
                let level = params.find(|(param, _)| *param == name.as_str());
                level.map_or(Item::Unit, |(_, level)| Item::Text(Cow::Borrowed(level)))
            }
            Value::Sum(sides) => self.sum(self.evaluate(&sides[0])?, &self.evaluate(&sides[1])?)?,
            Value::Template(parts) => {
                let mut text = String::with_capacity(64);
                for part in parts {
                    self.evaluate(part)?.print(&mut text)?;
                    if text.len() > self.run.limits.string_bytes_max {
                        return None;
                    }
                }
                self.made(text)?
            }
            Value::Text(text) => Item::Text(Cow::Borrowed(text)),
            Value::TypeOf(value) => Item::Text(Cow::Borrowed(self.evaluate(value)?.kind()?)),
            Value::Unit => Item::Unit,
            Value::Variable(at) => {
                let item = self.variables.get(*at)?;
                self.work_on(item.bytes())?;
                item.clone()
            }
            Value::Written(json) => Item::Written(Cow::Borrowed(json)),
        })
    }

    /// Whether one of the conditions is `wanted`; those behind the first that is are not looked at.
    fn is_any(&self, conditions: &'run [Value], wanted: bool) -> Option<bool> {
        for condition in conditions {
            if self.truth(condition)? == wanted {
                return Some(true);
            }
        }
        Some(false)
    }

    fn sum(&self, left: Item<'run>, right: &Item<'run>) -> Option<Item<'run>> {
        if let (Item::Int(left), Item::Int(right)) = (&left, right) {
            return left.checked_add(*right).map(Item::Int);
        }
        let mut text = left.into_text()?.into_owned();
        text.push_str(right.as_text()?);
        self.made(text)
    }

    /// A text that the handler made.
    fn made(&self, text: String) -> Option<Item<'run>> {
        self.work_on(text.len())?;
        (text.len() <= self.run.limits.string_bytes_max).then_some(Item::Text(Cow::Owned(text)))
    }

    fn members(&self) -> Option<&Members<'run>> {
        let find = || self.plan.shape.find(&self.message.message.payload, &self.run.limits);
        self.members.get_or_init(find).as_ref()
    }

    fn member(&self, member: MemberIndex) -> Option<Member<'run>> {
        self.members()?.get(member)
    }

    fn field(&self, field: Field) -> Option<Item<'run>> {
        let message = &self.message.message;
        Some(match field {
            Field::ClientId => Item::Text(Cow::Borrowed(&message.client_id)),
            Field::Id => Item::Text(Cow::Borrowed(self.message.id())),
            Field::IsJson => self.members().map(|_| Item::Bool(true))?,
            Field::Payload if message.payload.len() > self.run.limits.string_bytes_max => return None,
            Field::Payload => Item::Text(Cow::Borrowed(str::from_utf8(&message.payload).ok()?)),
            Field::Qos => Item::Int(message.qos.into()),
            Field::Raw => Item::Bytes(&message.payload),
            Field::Retain => Item::Bool(message.retain),
            Field::Size => Item::Int(i64::try_from(message.payload.len()).ok()?),
            Field::Time => Item::Int(message.time_ms),
            Field::Topic => Item::Text(Cow::Borrowed(&message.topic)),
            Field::User => message.user.as_deref().map_or(Item::Unit, |user| Item::Text(Cow::Borrowed(user))),
        })
    }
}
