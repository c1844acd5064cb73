//! The parser: recursive descent over Falco's grammar, token by token as Falco reads them.
//!
//! ```ebnf
//! condition   = and, { "or", ( blank, and | "(", condition, ")" ) } ;
//! and         = not, { "and", ( blank, not | "(", condition, ")" ) } ;
//! not         = { "not", blank }, ( "not(", condition, ")" | check ) ;
//! check       = "(", condition, ")" | operand, comparison | macro ;
//! macro       = identifier ;
//!
//! comparison  = "exists"
//!             | ( "<=" | "<" | ">=" | ">" ), ( right | number )
//!             | ( "==" | "=" | "!=" ), texts
//!             | ( "glob" | "iglob" | "contains" | "icontains" | "bcontains" | "startswith" | "bstartswith"
//!               | "endswith" | "regex" ), blank, texts
//!             | ( "intersects" | "in" | "pmatch" ), ( list | right | identifier ) ;
//! texts       = blank, ( "oneof" | "anyof" | "allof" ), blank, ( list | identifier )
//!             | right | quoted | bare ;
//! list        = "(", [ text, { ",", text } ], ")" ;
//! text        = quoted | bare ;
//! right       = call | "val(", field, ")", [ argument ] ;
//!
//! operand     = field | call ;
//! field       = identifier, ".", identifier, { ".", identifier }, [ argument ] ;
//! argument    = "[", ( quoted | bare argument ), "]" ;
//! call        = transformer, "(", parameter, { ",", parameter }, ")", [ argument ] ;
//! transformer = "tolower" | "toupper" | "b64" | "basename" | "len" | "join" | "concat" | "getopt" ;
//! parameter   = item | "(", [ item, { ",", item } ], ")" ;
//! item        = operand | quoted | number ;
//!
//! identifier    = letter, { letter | digit | "_" } ;
//! number        = "0x", hex digit, { hex digit }
//!               | [ "+" | "-" ], digit, { digit }, [ "." ], { digit }, [ "e", ( "+" | "-" ), digit, { digit } ] ;
//! quoted        = '"', { character | escape }, '"' | "'", { character | escape }, "'" ;
//! escape        = "\", ( "b" | "f" | "n" | "r" | "t" | "\" | "/" | " " | the string's own quote ) ;
//! bare          = one or more characters other than blanks and ( ) " ' = , ;
//! bare argument = one or more characters other than blanks and [ ] " ' ;
//! blank         = one or more of blank, tab, backspace, carriage return, line feed ;
//! ```
//!
//! Blanks may stand between tokens, but not within a field, between a transformer and its parenthesis, or before an
//! argument's bracket. Of two alternatives the first one that fits is taken: a keyword at the start of a longer word is
//! taken for the keyword, so that `a.b = x orc` is an error. Hexadecimal and exponents may be in capitals.

use super::condition::{
    Arg, Call, Check, Expr, Field, MAX_DEPTH, Modifier, Op, Operand, ParseError, Pos, Rhs, Transformer,
};
use super::write::is_space;

const NUM_OPS: [(&str, Op); 4] = [("<=", Op::Le), ("<", Op::Lt), (">=", Op::Ge), (">", Op::Gt)];
const SYMBOL_OPS: [(&str, Op); 3] = [("==", Op::Eq), ("=", Op::Eq), ("!=", Op::Ne)];
const WORD_OPS: [(&str, Op); 9] = [
    ("glob", Op::Glob),
    ("iglob", Op::IGlob),
    ("contains", Op::Contains),
    ("icontains", Op::IContains),
    ("bcontains", Op::BContains),
    ("startswith", Op::StartsWith),
    ("bstartswith", Op::BStartsWith),
    ("endswith", Op::EndsWith),
    ("regex", Op::Regex),
];
const LIST_OPS: [(&str, Op); 3] = [("intersects", Op::Intersects), ("in", Op::In), ("pmatch", Op::Pmatch)];
const MODIFIERS: [(&str, Modifier); 3] =
    [("oneof", Modifier::OneOf), ("anyof", Modifier::AnyOf), ("allof", Modifier::AllOf)];

const ALL_OPERATORS: &str = "'exists', '<=', '<', '>=', '>', '==', '=', '!=', 'glob', 'iglob', 'contains', \
     'icontains', 'bcontains', 'startswith', 'bstartswith', 'endswith', 'regex', 'intersects', 'in', 'pmatch'";
const ALL_TRANSFORMERS: &str =
    "'val', 'tolower', 'toupper', 'b64', 'basename', 'len', 'join', 'concat', 'getopt'";

/// Parses a condition.
///
/// # Errors
/// When Falco 0.44.1 would refuse it, when it nests deeper than [`MAX_DEPTH`], or when it holds a NUL.
pub fn parse(text: &str) -> Result<Expr, ParseError> {
    if text.is_empty() {
        return Err(ParseError { message: "filter input string is empty".into(), offset: 0 });
    }
    // Falco reads part of a condition as a C string and part of it not; nobody means that.
    if let Some(offset) = text.find('\0') {
        return Err(ParseError { message: "the condition holds a NUL character".into(), offset });
    }
    let mut parser = Parser::new(text);
    let expr = parser.or()?;
    if parser.pos == text.len() {
        return Ok(expr);
    }
    let message = format!("unexpected token after '{}', expecting 'or', 'and'", parser.last);
    Err(parser.error(message))
}

/// Parses the field or transformer at the start of `text`, as it stands after `%` in an output, and says how
/// many bytes it takes.
///
/// # Errors
/// When `text` does not start with a field or a transformer.
pub fn parse_operand(text: &str) -> Result<(Operand, usize), ParseError> {
    let mut parser = Parser::new(text);
    let pos = parser.here();
    let operand = if parser.field_name() {
        Operand::Field(parser.field_rest(pos)?)
    } else if let Some(transformer) = parser.transformer() {
        parser.blank();
        Operand::Call(parser.call_rest(transformer, pos)?)
    } else {
        return Err(parser.error(format!("unexpected token after '{}'", parser.last)));
    };
    Ok((operand, parser.pos))
}

struct Parser<'a> {
    text: &'a str,
    pos: usize,
    /// The last token, for the message about what follows it.
    last: String,
    depth: usize,
}

type Parsed<T> = Result<T, ParseError>;

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, pos: 0, last: String::new(), depth: 0 }
    }

    fn here(&self) -> Pos {
        Pos(self.pos)
    }

    fn error(&self, message: impl Into<String>) -> ParseError {
        ParseError { message: message.into(), offset: self.pos }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.pos..).unwrap_or_default()
    }

    fn byte(&self, ahead: usize) -> Option<u8> {
        self.text.as_bytes().get(self.pos + ahead).copied()
    }

    fn enter(&mut self) -> Parsed<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.error(format!("condition nested deeper than {MAX_DEPTH} levels")));
        }
        Ok(())
    }

    // ---- tokens ----

    /// Blanks; the only token that does not become `last`.
    fn blank(&mut self) -> bool {
        let start = self.pos;
        while matches!(self.byte(0), Some(b' ' | b'\t' | 8 | b'\r' | b'\n')) {
            self.pos += 1;
        }
        self.pos > start
    }

    fn literal(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.take(token.len());
        }
        found
    }

    /// Takes the next `len` bytes as a token.
    fn take(&mut self, len: usize) {
        let token = self.text.get(self.pos..self.pos + len).unwrap_or_default();
        token.clone_into(&mut self.last);
        self.pos += len;
    }

    fn take_if_some(&mut self, len: usize) -> bool {
        if len > 0 {
            self.take(len);
        }
        len > 0
    }

    fn ident_len(&self, from: usize) -> usize {
        let bytes = self.text.as_bytes().get(self.pos + from..).unwrap_or_default();
        match bytes.first() {
            Some(b) if b.is_ascii_alphabetic() => {
                bytes.iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count()
            }
            _ => 0,
        }
    }

    fn identifier(&mut self) -> bool {
        let len = self.ident_len(0);
        self.take_if_some(len)
    }

    fn field_name(&mut self) -> bool {
        let mut len = self.ident_len(0);
        let mut dots = 0;
        while len > 0 && self.byte(len) == Some(b'.') {
            let part = self.ident_len(len + 1);
            if part == 0 {
                break;
            }
            len += 1 + part;
            dots += 1;
        }
        self.take_if_some(if dots > 0 { len } else { 0 })
    }

    fn until(&mut self, stop: &[char]) -> bool {
        let len = self.rest().find(|c: char| is_space(c) || stop.contains(&c)).unwrap_or(self.rest().len());
        self.take_if_some(len)
    }

    fn bare_string(&mut self) -> bool {
        self.until(&['(', ')', '"', '\'', '=', ','])
    }

    fn bare_arg(&mut self) -> bool {
        self.until(&[']', '[', '"', '\''])
    }

    fn digits(&self, from: usize, hex: bool) -> usize {
        let is_digit = |b: &&u8| if hex { b.is_ascii_hexdigit() } else { b.is_ascii_digit() };
        self.text.as_bytes().get(self.pos + from..).unwrap_or_default().iter().take_while(is_digit).count()
    }

    fn number(&mut self) -> bool {
        if self.byte(0) == Some(b'0') && matches!(self.byte(1), Some(b'x' | b'X')) {
            let digits = self.digits(2, true);
            if digits > 0 {
                self.take(2 + digits);
                return true;
            }
        }
        let sign = usize::from(matches!(self.byte(0), Some(b'+' | b'-')));
        let whole = self.digits(sign, false);
        if whole == 0 {
            return false;
        }
        let mut len = sign + whole;
        if self.byte(len) == Some(b'.') {
            len += 1;
        }
        len += self.digits(len, false);
        // Falco wants a sign in an exponent.
        if matches!(self.byte(len), Some(b'e' | b'E')) && matches!(self.byte(len + 1), Some(b'+' | b'-')) {
            let exponent = self.digits(len + 2, false);
            len += if exponent > 0 { 2 + exponent } else { 0 };
        }
        self.take(len);
        true
    }

    /// A quoted string. A quote after a backslash never closes it, not even after an escaped backslash.
    fn quoted_string(&mut self) -> Parsed<bool> {
        let Some(quote @ (b'"' | b'\'')) = self.byte(0) else { return Ok(false) };
        let mut previous = b'\\';
        let mut len = 0;
        while let Some(byte) = self.byte(len) {
            if byte == quote && previous != b'\\' {
                let inner = self.text.get(self.pos + 1..self.pos + len).unwrap_or_default();
                self.pos += len + 1;
                self.last = unescape(inner, quote).map_err(|message| self.error(message))?;
                return Ok(true);
            }
            previous = byte;
            len += 1;
        }
        self.text.get(self.pos..self.pos + len).unwrap_or_default().clone_into(&mut self.last);
        Ok(false)
    }

    fn one_of<T: Copy>(&mut self, table: &[(&str, T)]) -> Option<T> {
        table.iter().find(|(name, _)| self.literal(name)).map(|(_, value)| *value)
    }

    /// A word that must be followed by a blank, which is consumed with it.
    fn word_of<T: Copy>(&mut self, table: &[(&str, T)]) -> Option<T> {
        let pos = self.pos;
        for (name, value) in table {
            if !self.rest().starts_with(name) {
                continue;
            }
            self.pos += name.len();
            if self.blank() {
                (*name).clone_into(&mut self.last);
                return Some(*value);
            }
            self.pos = pos;
        }
        None
    }

    /// A transformer's name with its opening parenthesis; `val` only stands on the right.
    fn transformer(&mut self) -> Option<Transformer> {
        Transformer::ALL.into_iter().skip(1).find(|t| self.transformer_named(*t))
    }

    fn transformer_named(&mut self, transformer: Transformer) -> bool {
        let name = transformer.name();
        let found = self.rest().strip_prefix(name).is_some_and(|rest| rest.starts_with('('));
        if found {
            self.take(name.len());
            self.pos += 1;
        }
        found
    }

    // ---- and, or, not ----

    fn or(&mut self) -> Parsed<Expr> {
        self.enter()?;
        self.blank();
        let mut children = vec![self.and()?];
        self.blank();
        while self.literal("or") {
            children.push(if self.blank() {
                self.and()?
            } else if self.literal("(") {
                self.embedded()?
            } else {
                return Err(self.error("expected blank or '(' after 'or'"));
            });
            self.blank();
        }
        self.depth -= 1;
        Ok(one_or(children, Expr::Or))
    }

    fn and(&mut self) -> Parsed<Expr> {
        self.blank();
        let mut children = vec![self.not()?];
        self.blank();
        while self.literal("and") {
            children.push(if self.blank() {
                self.not()?
            } else if self.literal("(") {
                self.embedded()?
            } else {
                return Err(self.error("expected blank or '(' after 'and'"));
            });
            self.blank();
        }
        Ok(one_or(children, Expr::And))
    }

    fn not(&mut self) -> Parsed<Expr> {
        self.blank();
        let mut negated = false;
        while let Some(len) = self.not_and_blank() {
            self.take(len);
            negated = !negated;
        }
        let child = if self.literal("not(") {
            negated = !negated;
            self.embedded()?
        } else {
            self.check()?
        };
        Ok(if negated { Expr::Not(Box::new(child)) } else { child })
    }

    fn not_and_blank(&self) -> Option<usize> {
        let rest = self.rest().strip_prefix("not")?;
        let blanks = rest.find(|c: char| !is_space(c)).unwrap_or(rest.len());
        (blanks > 0).then_some(3 + blanks)
    }

    /// The rest of a parenthesised condition.
    fn embedded(&mut self) -> Parsed<Expr> {
        self.blank();
        let child = self.or()?;
        self.blank();
        if self.literal(")") { Ok(child) } else { Err(self.error("expected a ')' token")) }
    }

    // ---- checks ----

    fn check(&mut self) -> Parsed<Expr> {
        self.blank();
        let pos = self.here();
        if self.literal("(") {
            return self.embedded();
        }
        if self.field_name() {
            let field = self.field_rest(pos)?;
            return self.comparison(Operand::Field(field), pos);
        }
        if let Some(transformer) = self.transformer() {
            self.blank();
            let call = self.call_rest(transformer, pos)?;
            return self.comparison(Operand::Call(call), pos);
        }
        if self.identifier() {
            return Ok(Expr::Macro(self.last.clone(), pos));
        }
        Err(self.error("expected a '(' token, a field check, or an identifier"))
    }

    fn field_rest(&mut self, pos: Pos) -> Parsed<Field> {
        Ok(Field { name: self.last.clone(), arg: self.optional_arg()?, pos })
    }

    fn optional_arg(&mut self) -> Parsed<Option<String>> {
        if !self.literal("[") {
            return Ok(None);
        }
        if !self.quoted_string()? && !self.bare_arg() {
            return Err(self.error("expected a valid field argument: a quoted string or a bare string"));
        }
        let arg = self.last.clone();
        if self.literal("]") { Ok(Some(arg)) } else { Err(self.error("expected a ']' token")) }
    }

    /// The arguments of a transformer whose opening parenthesis has been read.
    fn call_rest(&mut self, transformer: Transformer, pos: Pos) -> Parsed<Call> {
        self.enter()?;
        let mut args = Vec::new();
        loop {
            self.blank();
            args.push(self.call_arg()?);
            self.blank();
            if !self.literal(",") {
                break;
            }
        }
        if !self.literal(")") {
            return Err(self.error("expected a ')' token closing the transformer"));
        }
        self.depth -= 1;
        Ok(Call { transformer, args, arg: self.optional_arg()?, pos })
    }

    fn call_arg(&mut self) -> Parsed<Arg> {
        if self.number() || self.quoted_string()? {
            return Ok(Arg::Text(self.last.clone()));
        }
        if self.literal("(") {
            return self.arg_list();
        }
        if let Some(operand) = self.operand()? {
            return Ok(Arg::Operand(operand));
        }
        Err(self.error(
            "expected field transformer argument: field, transformer, quoted string, number, or transformer list",
        ))
    }

    fn operand(&mut self) -> Parsed<Option<Operand>> {
        let pos = self.here();
        if let Some(transformer) = self.transformer() {
            return Ok(Some(Operand::Call(self.call_rest(transformer, pos)?)));
        }
        if self.field_name() {
            return Ok(Some(Operand::Field(self.field_rest(pos)?)));
        }
        Ok(None)
    }

    fn arg_list(&mut self) -> Parsed<Arg> {
        self.blank();
        let mut list = Vec::new();
        if self.literal(")") {
            return Ok(Arg::List(list));
        }
        list.push(self.list_arg()?);
        self.blank();
        while self.literal(",") {
            self.blank();
            list.push(self.list_arg()?);
            self.blank();
        }
        if self.literal(")") { Ok(Arg::List(list)) } else { Err(self.error("expected ')'")) }
    }

    fn list_arg(&mut self) -> Parsed<Arg> {
        if let Some(operand) = self.operand()? {
            return Ok(Arg::Operand(operand));
        }
        if self.quoted_string()? || self.number() {
            return Ok(Arg::Text(self.last.clone()));
        }
        Err(self.error("expected transformer list argument: field, transformer, quoted string, or number"))
    }

    fn comparison(&mut self, left: Operand, pos: Pos) -> Parsed<Expr> {
        self.blank();
        if self.literal("exists") {
            let right_pos = self.here();
            return Ok(check(left, Op::Exists, None, Rhs::None, pos, right_pos));
        }
        if let Some(op) = self.one_of(&NUM_OPS) {
            let (right, at) = self.number_or_transformer()?;
            return Ok(check(left, op, None, right, pos, at));
        }
        if let Some(op) = self.one_of(&SYMBOL_OPS) {
            let blank = self.blank();
            return self.string_comparison(left, op, blank, pos);
        }
        if let Some(op) = self.word_of(&WORD_OPS) {
            return self.string_comparison(left, op, true, pos);
        }
        if let Some(op) = self.one_of(&LIST_OPS) {
            let (right, at) = self.list_or_transformer()?;
            return Ok(check(left, op, None, right, pos, at));
        }
        Err(self.error(format!("expected a valid check operator: one of {ALL_OPERATORS}")))
    }

    fn string_comparison(&mut self, left: Operand, op: Op, blank: bool, pos: Pos) -> Parsed<Expr> {
        let saved = (self.pos, self.last.clone());
        if blank
            && let Some(modifier) = self.word_of(&MODIFIERS)
            && self.list_follows()
        {
            let (right, at) = self.list()?;
            return Ok(check(left, op, Some(modifier), right, pos, at));
        }
        (self.pos, self.last) = saved;
        let (right, at) = self.string_or_transformer()?;
        Ok(check(left, op, None, right, pos, at))
    }

    /// Whether a list or a list's name stands next, rather than `and`, `or`, `not`: then the word before was
    /// a modifier and not a value.
    fn list_follows(&self) -> bool {
        if self.byte(0) == Some(b'(') {
            return true;
        }
        let keyword = ["and", "or", "not"].into_iter().any(|word| {
            self.rest()
                .strip_prefix(word)
                .is_some_and(|rest| rest.as_bytes().first().is_none_or(|b| !b.is_ascii_alphanumeric()))
        });
        self.ident_len(0) > 0 && !keyword
    }

    fn number_or_transformer(&mut self) -> Parsed<(Rhs, Pos)> {
        self.blank();
        let pos = self.here();
        if let Some(operand) = self.right_operand()? {
            return Ok((Rhs::Operand(operand), pos));
        }
        if self.number() {
            return Ok((Rhs::Value(self.last.clone()), pos));
        }
        Err(self.error(format!(
            "expected a number value or a field with a valid transformer: {ALL_TRANSFORMERS}"
        )))
    }

    fn string_or_transformer(&mut self) -> Parsed<(Rhs, Pos)> {
        self.blank();
        let pos = self.here();
        if let Some(operand) = self.right_operand()? {
            return Ok((Rhs::Operand(operand), pos));
        }
        if self.quoted_string()? || self.bare_string() {
            return Ok((Rhs::Value(self.last.clone()), pos));
        }
        Err(self.error(format!(
            "expected a string value or a field with a valid transformer: {ALL_TRANSFORMERS}"
        )))
    }

    fn list_or_transformer(&mut self) -> Parsed<(Rhs, Pos)> {
        self.blank();
        let pos = self.here();
        if let Some(list) = self.parenthesised()? {
            return Ok((list, pos));
        }
        if let Some(operand) = self.right_operand()? {
            return Ok((Rhs::Operand(operand), pos));
        }
        if self.identifier() {
            return Ok((Rhs::Value(self.last.clone()), pos));
        }
        Err(self.error(format!(
            "expected a list, an identifier, or a field with a valid transformer: {ALL_TRANSFORMERS}"
        )))
    }

    fn list(&mut self) -> Parsed<(Rhs, Pos)> {
        self.blank();
        let pos = self.here();
        if let Some(list) = self.parenthesised()? {
            return Ok((list, pos));
        }
        if self.identifier() {
            return Ok((Rhs::Value(self.last.clone()), pos));
        }
        Err(self.error("expected a list or an identifier"))
    }

    fn parenthesised(&mut self) -> Parsed<Option<Rhs>> {
        if !self.literal("(") {
            return Ok(None);
        }
        let mut values = Vec::new();
        self.blank();
        // Whatever is wrong with the first value makes Falco take the list for empty.
        if let Ok(true) = self.plain_value() {
            values.push(self.last.clone());
            self.blank();
            while self.literal(",") {
                if !self.plain_value()? {
                    return Err(self.error("expected a string value"));
                }
                values.push(self.last.clone());
                self.blank();
            }
        }
        if self.literal(")") { Ok(Some(Rhs::List(values))) } else { Err(self.error("expected a ')' token")) }
    }

    fn plain_value(&mut self) -> Parsed<bool> {
        self.blank();
        Ok(self.quoted_string()? || self.bare_string())
    }

    /// `val(field)` or another transformer on the right side.
    fn right_operand(&mut self) -> Parsed<Option<Operand>> {
        self.blank();
        let pos = self.here();
        if let Some(transformer) = self.transformer() {
            self.blank();
            return Ok(Some(Operand::Call(self.call_rest(transformer, pos)?)));
        }
        if !self.transformer_named(Transformer::Val) {
            return Ok(None);
        }
        self.blank();
        let field_pos = self.here();
        if !self.field_name() {
            return Err(self.error("expected a field within 'val' transformer"));
        }
        let field = self.field_rest(field_pos)?;
        self.blank();
        if !self.literal(")") {
            return Err(self.error("expected a ')' token closing the transformer"));
        }
        let args = vec![Arg::Operand(Operand::Field(field))];
        let arg = self.optional_arg()?;
        Ok(Some(Operand::Call(Call { transformer: Transformer::Val, args, arg, pos })))
    }
}

fn one_or(mut children: Vec<Expr>, many: fn(Vec<Expr>) -> Expr) -> Expr {
    match children.len() {
        1 => children.pop().unwrap_or_else(|| many(Vec::new())),
        _ => many(children),
    }
}

fn check(left: Operand, op: Op, modifier: Option<Modifier>, right: Rhs, pos: Pos, right_pos: Pos) -> Expr {
    Expr::Check(Box::new(Check { left, op, modifier, right, pos, right_pos }))
}

/// Resolves the escapes of a quoted string's inside (measured: `\b \f \n \r \t \\ \/`, the string's own quote,
/// and a backslash before a blank, which stands for the backslash).
fn unescape(inner: &str, quote: u8) -> Result<String, String> {
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('b') => out.push('\x08'),
            Some('f') => out.push('\x0c'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some(' ' | '\\') => out.push('\\'),
            Some('/') => out.push('/'),
            Some('"') if quote == b'"' => out.push('"'),
            Some('\'') if quote == b'\'' => out.push('\''),
            Some('"') => return Err("invalid \\\" escape in '-quoted string".into()),
            Some('\'') => return Err("invalid \\' escape in \"-quoted string".into()),
            Some(other) => return Err(format!("unsupported string escape sequence: \\{other}")),
            None => break,
        }
    }
    Ok(out)
}
