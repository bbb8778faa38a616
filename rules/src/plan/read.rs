//! From the text of a handler to its plan, if all of it is of the kinds that plans know.

mod value;

use std::collections::BTreeSet;

use rhai::{AST, ASTFlags, ASTNode, Expr, FnCallExpr, ImmutableString, Map, Stmt};

use super::members::{MemberIndex, Shape};
use super::{Block, If, Plan, Publish, Put, Step, Value};
use crate::limits::Limits;
use crate::natives::{is_table_name, parse_duration};

/// Natives that a plan does itself.
const NATIVES: [&str; 7] = ["contains", "json", "publish", "put", "table", "text", "type_of"];

/// Reads the plan of a handler. `None` if some part of it takes the interpreter.
pub(crate) fn read(ast: &AST, handler: &str, constants: &Map, limits: &Limits) -> Option<Plan> {
    let own: BTreeSet<&str> = ast.iter_functions().map(|function| function.name).collect();
    if NATIVES.iter().any(|native| own.contains(native)) {
        return None;
    }
    let mut parameters = ast
        .iter_functions()
        .filter(|function| function.name == handler && function.params.len() == 1)
        .map(|function| function.params[0]);
    let parameter = parameters.next()?;
    if parameters.next().is_some() {
        return None;
    }
    let mut body = ast.clone_functions_only();
    body.retain_functions(|_, _, name, parameters| name == handler && parameters == 1);
    let mut reader = Reader {
        constants,
        shape: Shape::new(),
        names: vec![(parameter.into(), Meaning::Message)],
        names_max: 1,
        variables: 0,
        operations: 1,
    };
    let mut steps = Vec::new();
    let is_read = body.walk(&mut |path| {
        // What lies deeper is read with the statement that it is a part of.
        let [ASTNode::Stmt(statement)] = path else { return true };
        reader.statement(statement, &mut steps).is_some()
    });
    let is_within = reader.operations <= limits.operations_max && reader.names_max <= limits.variables_max;
    let is_planned = is_read && is_within && limits.call_depth_max > 0;
    let body = Block { steps, variables_before: 0 };
    is_planned.then_some(Plan { body, shape: reader.shape, operations: reader.operations })
}

/// What a name stands for.
#[derive(Clone)]
enum Meaning {
    Member(MemberIndex),
    Message,
    Table(ImmutableString),
    Variable(usize),
}

struct Reader<'rule> {
    constants: &'rule Map,
    shape: Shape,
    /// What is in scope.
    names: Vec<(ImmutableString, Meaning)>,
    /// The most that ever were.
    names_max: usize,
    variables: usize,
    /// Statements and parts of expressions so far.
    operations: u64,
}

impl Reader<'_> {
    /// Reads a statement, most of which are a step.
    fn statement(&mut self, statement: &Stmt, steps: &mut Vec<Step>) -> Option<()> {
        self.operations += 1;
        steps.push(match statement {
            Stmt::Noop(_) => return Some(()),
            Stmt::Block(block) => Step::Block(self.block(block.statements())?),
            Stmt::Expr(expression) => match &**expression {
                Expr::FnCall(call, _) => self.publish(call)?,
                Expr::Unit(_) => return Some(()),
                other => self.put(other)?,
            },
            Stmt::FnCall(call, _) => self.publish(call)?,
            Stmt::If(flow, _) => Step::If(Box::new(If {
                condition: self.value(&flow.expr)?,
                then: self.block(flow.body.statements())?,
                otherwise: self.block(flow.branch.statements())?,
            })),
            Stmt::Return(value, flags, _) => {
                let is_plain = value.as_deref().is_none_or(|value| matches!(value, Expr::Unit(_)));
                // What throws is a return with this flag.
                if !is_plain || flags.intersects(ASTFlags::BREAK) {
                    return None;
                }
                Step::Return
            }
            Stmt::Var(definition, flags, _) if !flags.intersects(ASTFlags::EXPORTED) => {
                let (name, value, _) = &**definition;
                return self.define(&name.name, value, steps);
            }
            _ => return None,
        });
        Some(())
    }

    fn block(&mut self, statements: &[Stmt]) -> Option<Block> {
        let (names, variables_before) = (self.names.len(), self.variables);
        let mut steps = Vec::with_capacity(statements.len());
        for statement in statements {
            self.statement(statement, &mut steps)?;
        }
        self.names.truncate(names);
        self.variables = variables_before;
        Some(Block { steps, variables_before })
    }

    /// `let name = value`.
    fn define(&mut self, name: &ImmutableString, value: &Expr, steps: &mut Vec<Step>) -> Option<()> {
        let meaning = if let Some(table) = self.table(value) {
            Meaning::Table(table)
        } else {
            match self.value(value)? {
                // It is not copied; whether it can be looked at is seen here, as the interpreter would.
                Value::Member(member) => {
                    steps.push(Step::Look(member));
                    Meaning::Member(member)
                }
                value => {
                    steps.push(Step::Let(value));
                    self.variables += 1;
                    Meaning::Variable(self.variables - 1)
                }
            }
        };
        self.names.push((name.clone(), meaning));
        self.names_max = self.names_max.max(self.names.len());
        Some(())
    }

    /// `publish(topic, payload)`, and with settings.
    fn publish(&mut self, call: &FnCallExpr) -> Option<Step> {
        let ("publish", false) = (call.name.as_str(), is_unusual(call)) else { return None };
        let (topic, payload, settings) = match call.args.as_slice() {
            [topic, payload] => (topic, payload, None),
            [topic, payload, settings] => (topic, payload, Some(settings)),
            _ => return None,
        };
        let (topic, payload) = (self.value(topic)?, self.value(payload)?);
        let (mut qos, mut retain) = (Value::Int(0), Value::Bool(false));
        for (name, value) in self.settings(settings)? {
            match &*name {
                "qos" => qos = value,
                "retain" => retain = value,
                _ => return None,
            }
        }
        Some(Step::Publish(Box::new(Publish { topic, payload, qos, retain })))
    }

    /// `table("name").put(hash, sort, value)`, without a sort key, or with settings.
    fn put(&mut self, expression: &Expr) -> Option<Step> {
        let Expr::Dot(dot, flags, _) = expression else { return None };
        let Expr::MethodCall(call, _) = &dot.rhs else { return None };
        let table = self.table(&dot.lhs)?;
        if flags.intersects(ASTFlags::NEGATED) || call.name != "put" || is_unusual(call) {
            return None;
        }
        let (hash, sort, value, settings) = match call.args.as_slice() {
            [hash, value] => (hash, None, value, None),
            [hash, sort, value] => (hash, Some(sort), value, None),
            [hash, sort, value, settings] => (hash, Some(sort), value, Some(settings)),
            _ => return None,
        };
        let hash = self.value(hash)?;
        let sort = sort.map_or(Some(Value::Text(ImmutableString::new())), |sort| self.value(sort))?;
        let value = self.value(value)?;
        let mut ttl = None;
        for setting in self.settings(settings)? {
            let (name, Value::Text(duration)) = setting else { return None };
            if &*name != "ttl" {
                return None;
            }
            ttl = Some(parse_duration(&duration)?);
        }
        Some(Step::Put(Box::new(Put { table, hash, sort, value, ttl })))
    }

    /// The table that an expression is, if it is one whose name is known.
    fn table(&self, expression: &Expr) -> Option<ImmutableString> {
        let name = match expression {
            Expr::Variable(variable, ..) => match self.meaning(&variable.1) {
                Some(Meaning::Table(name)) => name.clone(),
                _ => return None,
            },
            Expr::FnCall(call, _) if call.name == "table" && !is_unusual(call) => {
                match call.args.as_slice() {
                    [Expr::StringConstant(name, _)] => name.clone(),
                    _ => return None,
                }
            }
            _ => return None,
        };
        is_table_name(&name).then_some(name)
    }

    /// The `#{ … }` that a function takes last, if it is written out.
    fn settings(&mut self, settings: Option<&Expr>) -> Option<Vec<(Box<str>, Value)>> {
        match settings {
            None => Some(Vec::new()),
            Some(Expr::Map(map, _)) => map
                .0
                .iter()
                .map(|(name, value)| Some((name.name.as_str().into(), self.value(value)?)))
                .collect(),
            Some(Expr::DynamicConstant(map, _)) => {
                let map = map.read_lock::<Map>()?;
                map.iter()
                    .map(|(name, value)| Some((name.as_str().into(), value::constant(value)?)))
                    .collect()
            }
            Some(_) => None,
        }
    }

    /// What a name stands for here: what was defined last.
    fn meaning(&self, name: &str) -> Option<&Meaning> {
        self.names.iter().rev().find(|(known, _)| known == name).map(|(_, meaning)| meaning)
    }
}

/// Whether a call is more than that of a function by its name.
fn is_unusual(call: &FnCallExpr) -> bool {
    call.is_qualified() || call.capture_parent_scope
}
