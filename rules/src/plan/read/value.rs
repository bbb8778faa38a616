//! Values of a handler's text.

use rhai::{ASTFlags, Dynamic, Expr, FnCallExpr, ImmutableString, Map, Token};

use super::{Meaning, Reader, is_unusual};
use crate::json;
use crate::plan::compare::Comparison;
use crate::plan::members::Shape;
use crate::plan::{Field, Value};

impl Reader<'_> {
    pub(super) fn value(&mut self, expression: &Expr) -> Option<Value> {
        self.operations += 1;
        Some(match expression {
            Expr::And(conditions, _) => Value::All(self.values(conditions)?),
            Expr::Array(elements, _) => Value::Array(self.values(elements)?),
            Expr::BoolConstant(truth, _) => Value::Bool(*truth),
            Expr::Coalesce(values, _) => Value::FirstOf(self.values(values)?),
            Expr::Dot(..) => self.dotted(expression)?,
            Expr::DynamicConstant(value, _) => constant(value)?,
            Expr::FloatConstant(number, _) => float(**number)?,
            Expr::FnCall(call, _) => self.call(call)?,
            Expr::IntegerConstant(number, _) => Value::Int(*number),
            Expr::InterpolatedString(parts, _) => Value::Template(self.values(parts)?),
            Expr::Map(map, _) => self.object(map.0.iter().map(|(name, value)| (&name.name, value)))?,
            Expr::Or(conditions, _) => Value::Any(self.values(conditions)?),
            Expr::StringConstant(text, _) => Value::Text(text.clone()),
            Expr::Unit(_) => Value::Unit,
            Expr::Variable(variable, ..) => {
                let (_, name, namespace, _) = &**variable;
                match self.meaning(name) {
                    _ if !namespace.is_empty() => return None,
                    Some(Meaning::Member(member)) => Value::Member(*member),
                    Some(Meaning::Variable(at)) => Value::Variable(*at),
                    Some(Meaning::Message | Meaning::Table(_)) => return None,
                    None => constant(self.constants.get(name.as_str())?)?,
                }
            }
            _ => return None,
        })
    }

    fn values(&mut self, expressions: &[Expr]) -> Option<Vec<Value>> {
        expressions.iter().map(|expression| self.value(expression)).collect()
    }

    /// `#{ … }`: written in the order of the names, as scripts write all maps.
    fn object<'members>(
        &mut self,
        members: impl Iterator<Item = (&'members ImmutableString, &'members Expr)>,
    ) -> Option<Value> {
        let read = |(name, value)| Some((name, self.value(value)?));
        let mut members: Vec<(&ImmutableString, Value)> = members.map(read).collect::<Option<_>>()?;
        members.sort_by(|(left, _), (right, _)| left.as_str().cmp(right.as_str()));
        let written = |name: &ImmutableString| Some(serde_json::to_string(name.as_str()).ok()? + ":");
        let members = members.into_iter().map(|(name, value)| Some((written(name)?.into(), value)));
        members.collect::<Option<_>>().map(Value::Object)
    }

    /// `msg.time`, `msg.params.room`, `msg.json.meta.page`, `said.meta.page`, `msg.text()`.
    fn dotted(&mut self, expression: &Expr) -> Option<Value> {
        let (base, links) = links_of(expression)?;
        let Expr::Variable(variable, ..) = base else { return None };
        if !variable.2.is_empty() {
            return None;
        }
        let (member, names) = match (self.meaning(&variable.1)?, links.as_slice()) {
            (Meaning::Member(member), names) => (*member, names),
            (Meaning::Message, [Link::Name(name) | Link::Call(name), names @ ..]) if *name == "json" => {
                (Shape::PAYLOAD, names)
            }
            (Meaning::Message, [Link::Name(params), Link::Name(name)]) if *params == "params" => {
                return Some(Value::Param((*name).clone()));
            }
            (Meaning::Message, [Link::Call(name)]) if *name == "text" => {
                return Some(Value::Field(Field::Payload));
            }
            (Meaning::Message, [Link::Name(name)]) => return field(name).map(Value::Field),
            _ => return None,
        };
        names
            .iter()
            .try_fold(member, |parent, link| match link {
                Link::Name(name) => self.shape.member(parent, name),
                Link::Call(_) => None,
            })
            .map(Value::Member)
    }

    fn call(&mut self, call: &FnCallExpr) -> Option<Value> {
        if is_unusual(call) {
            return None;
        }
        match (call.name.as_str(), call.args.as_slice()) {
            ("!", [condition]) => Some(Value::Not(Box::new(self.value(condition)?))),
            // This is how `name in map` is read.
            ("contains", [map, Expr::StringConstant(name, _)]) => match self.value(map)? {
                Value::Member(of) => self.shape.member(of, name).map(Value::Has),
                _ => None,
            },
            ("type_of", [value]) => Some(Value::TypeOf(Box::new(self.value(value)?))),
            (_, [left, right]) => {
                let operator = call.op_token.as_ref()?;
                let sides = Box::new([self.value(left)?, self.value(right)?]);
                if *operator == Token::Plus {
                    return Some(Value::Sum(sides));
                }
                Some(Value::Compare(Comparison::of(operator)?, sides))
            }
            _ => None,
        }
    }
}

/// What stands behind a dot.
enum Link<'expression> {
    /// `.name()`
    Call(&'expression ImmutableString),
    /// `.name`
    Name(&'expression ImmutableString),
}

/// What is left of all dots, and what stands behind each.
fn links_of(expression: &Expr) -> Option<(&Expr, Vec<Link<'_>>)> {
    let Expr::Dot(dot, flags, _) = expression else { return None };
    let (base, mut rest, mut flags) = (&dot.lhs, &dot.rhs, flags);
    let mut links = Vec::new();
    loop {
        // `?.` is a dot with this flag.
        if flags.intersects(ASTFlags::NEGATED) {
            return None;
        }
        let Expr::Dot(dot, inner, _) = rest else {
            links.push(link(rest)?);
            return Some((base, links));
        };
        links.push(link(&dot.lhs)?);
        (rest, flags) = (&dot.rhs, inner);
    }
}

fn link(expression: &Expr) -> Option<Link<'_>> {
    match expression {
        Expr::MethodCall(call, _) if call.args.is_empty() && !is_unusual(call) => {
            Some(Link::Call(&call.name))
        }
        Expr::Property(property, _) => Some(Link::Name(&property.2)),
        _ => None,
    }
}

fn field(name: &str) -> Option<Field> {
    Some(match name {
        "client_id" => Field::ClientId,
        "id" => Field::Id,
        "is_json" => Field::IsJson,
        "payload" => Field::Payload,
        "qos" => Field::Qos,
        "raw" => Field::Raw,
        "retain" => Field::Retain,
        "size" => Field::Size,
        "time" => Field::Time,
        "topic" => Field::Topic,
        "user" => Field::User,
        _ => return None,
    })
}

/// What is infinite has no JSON form, which is for the interpreter to say.
fn float(number: f64) -> Option<Value> {
    number.is_finite().then_some(Value::Float(number))
}

/// A value that is known when the script is compiled.
pub(super) fn constant(value: &Dynamic) -> Option<Value> {
    /// Larger ones are for the interpreter.
    const BYTES_MAX: usize = 1 << 10;
    if value.is_unit() {
        return Some(Value::Unit);
    }
    if let Ok(truth) = value.as_bool() {
        return Some(Value::Bool(truth));
    }
    if let Ok(number) = value.as_int() {
        return Some(Value::Int(number));
    }
    if let Ok(number) = value.as_float() {
        return float(number);
    }
    if let Some(text) = value.read_lock::<ImmutableString>() {
        return Some(Value::Text(text.clone()));
    }
    if value.is_array() || value.is::<Map>() {
        let json = json::write(value, BYTES_MAX).ok()?;
        return Some(Value::Written(String::from_utf8(json).ok()?.into()));
    }
    None
}
