// The admin's theme writes JavaScript into attributes (x-on:click="open = !open"), which Alpine would turn into
// functions as eval does, and which the admin's content security policy forbids. Here they are parsed and interpreted:
// the part of the language that the theme uses, with the page's data and the few globals named below, and no more.

document.addEventListener("alpine:init", () => {
  const { Alpine } = window;

  // What expressions may use beside the data of the elements around them.
  const GLOBALS = {
    getCurrentTab: () => getCurrentTab,
    localStorage: () => localStorage,
    moveRecords: () => moveRecords,
    searchCommand: () => searchCommand,
    searchDropdown: () => searchDropdown,
    searchForm: () => searchForm,
    sortRecords: () => sortRecords,
    theme: () => theme,
    undefined: () => undefined,
    window: () => ({ location: { pathname: location.pathname, search: location.search } }),
  };

  // Text -> tokens: [kind, value], ending with ["end"].
  const TOKEN =
    /\s*(?:(\d+(?:\.\d+)?|\.\d+)|("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|([A-Za-z_$][\w$]*)|(===|!==|==|!=|<=|>=|&&|\|\||=>|[-+*/%<>=!?:.,;(){}[\]]))/y;

  function tokens(text) {
    const found = [];
    TOKEN.lastIndex = 0;
    while (text.slice(TOKEN.lastIndex).trim()) {
      const at = TOKEN.lastIndex;
      const match = TOKEN.exec(text);
      if (!match) throw new SyntaxError(`Not understood: ${text.slice(at)}`);
      const [, number, string, name, sign] = match;
      if (number !== undefined) found.push(["value", Number(number)]);
      else if (string !== undefined) found.push(["value", string.slice(1, -1).replace(/\\(.)/g, "$1")]);
      else found.push(name ? ["name", name] : ["sign", sign]);
    }
    found.push(["end"]);
    return found;
  }

  // Tokens -> a function of the scope. Each method reads one part of the grammar and returns such a function; what can
  // be assigned to or called has `place`, which gives the object and the name.
  const LITERALS = { true: true, false: false, null: null };
  const FORBIDDEN = new Set(["constructor", "prototype", "__proto__"]);
  // By precedence, the weakest first.
  const BINARY = [
    { "||": (a, b) => a() || b() },
    { "&&": (a, b) => a() && b() },
    { "===": (a, b) => a() === b(), "!==": (a, b) => a() !== b(), "==": (a, b) => a() == b(), "!=": (a, b) => a() != b() },
    { "<": (a, b) => a() < b(), ">": (a, b) => a() > b(), "<=": (a, b) => a() <= b(), ">=": (a, b) => a() >= b() },
    { "+": (a, b) => a() + b(), "-": (a, b) => a() - b() },
    { "*": (a, b) => a() * b(), "/": (a, b) => a() / b(), "%": (a, b) => a() % b() },
  ];

  class Parser {
    constructor(text) {
      this.text = text;
      this.tokens = tokens(text);
      this.at = 0;
    }

    peek(sign, ahead = 0) {
      const [kind, value] = this.tokens[this.at + ahead];
      return kind === "sign" && value === sign;
    }

    take(sign) {
      return this.peek(sign) && ++this.at;
    }

    expect(sign) {
      if (!this.take(sign)) throw new SyntaxError(`“${sign}” is missing in: ${this.text}`);
    }

    name() {
      const [kind, value] = this.tokens[this.at++];
      if (kind !== "name") throw new SyntaxError(`A name is missing in: ${this.text}`);
      return value;
    }

    isName(name) {
      const [kind, value] = this.tokens[this.at];
      return kind === "name" && value === name;
    }

    program() {
      const statements = this.statements(() => this.tokens[this.at][0] === "end");
      return (scope) => statements.reduce((_last, run) => run(scope), undefined);
    }

    statements(ended) {
      const found = [];
      while (!ended()) {
        if (!this.take(";")) found.push(this.statement());
      }
      return found;
    }

    statement() {
      if (!this.isName("if")) return this.expression();
      this.at++;
      this.expect("(");
      const condition = this.expression();
      this.expect(")");
      const then = this.block();
      this.take(";");
      let otherwise = () => undefined;
      if (this.isName("else")) {
        this.at++;
        otherwise = this.block();
      }
      return (scope) => (condition(scope) ? then(scope) : otherwise(scope));
    }

    block() {
      if (!this.take("{")) return this.statement();
      const statements = this.statements(() => this.peek("}"));
      this.expect("}");
      return (scope) => statements.reduce((_last, run) => run(scope), undefined);
    }

    expression() {
      if (this.tokens[this.at][0] === "name" && this.peek("=>", 1)) return this.arrow([this.name()]);
      const left = this.conditional();
      if (!this.take("=")) return left;
      if (!left.place) throw new SyntaxError(`This cannot be assigned to: ${this.text}`);
      const right = this.expression();
      return (scope) => {
        const [object, name] = left.place(scope);
        return (object[name] = right(scope));
      };
    }

    arrow(names) {
      this.expect("=>");
      const body = this.expression();
      return (scope) => (...values) => body({ ...scope, locals: { ...scope.locals, [names[0]]: values[0] } });
    }

    conditional() {
      const condition = this.binary(0);
      if (!this.take("?")) return condition;
      const then = this.expression();
      this.expect(":");
      const otherwise = this.expression();
      return (scope) => (condition(scope) ? then(scope) : otherwise(scope));
    }

    binary(level) {
      if (level === BINARY.length) return this.unary();
      let left = this.binary(level + 1);
      for (;;) {
        const [kind, sign] = this.tokens[this.at];
        if (kind !== "sign" || !Object.hasOwn(BINARY[level], sign)) return left;
        this.at++;
        const [first, second, operate] = [left, this.binary(level + 1), BINARY[level][sign]];
        left = (scope) => operate(() => first(scope), () => second(scope));
      }
    }

    unary() {
      if (this.take("!")) {
        const operand = this.unary();
        return (scope) => !operand(scope);
      }
      if (this.take("-")) {
        const operand = this.unary();
        return (scope) => -operand(scope);
      }
      return this.member(this.primary());
    }

    member(object) {
      for (;;) {
        if (this.take(".")) object = property(object, constant(this.name()));
        else if (this.take("[")) {
          object = property(object, this.expression());
          this.expect("]");
        } else if (this.take("(")) object = call(object, this.list(")"));
        else return object;
      }
    }

    list(end) {
      const items = [];
      while (!this.take(end)) {
        items.push(this.expression());
        if (!this.peek(end)) this.expect(",");
      }
      return items;
    }

    primary() {
      if (this.take("(")) {
        const inner = this.expression();
        this.expect(")");
        return inner;
      }
      if (this.take("[")) {
        const items = this.list("]");
        return (scope) => items.map((item) => item(scope));
      }
      if (this.take("{")) return this.object();
      const [kind, value] = this.tokens[this.at++];
      if (kind === "value") return constant(value);
      if (kind !== "name") throw new SyntaxError(`Not understood: ${this.text}`);
      return Object.hasOwn(LITERALS, value) ? constant(LITERALS[value]) : variable(value);
    }

    object() {
      const entries = [];
      while (!this.take("}")) {
        const [kind, key] = this.tokens[this.at++];
        if (kind !== "name" && kind !== "value") throw new SyntaxError(`A name is missing in: ${this.text}`);
        this.expect(":");
        entries.push([permitted(key), this.expression()]);
        if (!this.peek("}")) this.expect(",");
      }
      return (scope) => Object.fromEntries(entries.map(([key, value]) => [key, value(scope)]));
    }
  }

  function permitted(name) {
    if (FORBIDDEN.has(String(name))) throw new TypeError(`“${name}” is not allowed in an attribute.`);
    return name;
  }

  function constant(value) {
    return () => value;
  }

  function variable(name) {
    permitted(name);
    const place = (scope) => [name in scope.locals ? scope.locals : scope.data, name];
    const read = (scope) => {
      const [object] = place(scope);
      if (name in object) return object[name];
      if (Object.hasOwn(GLOBALS, name)) return GLOBALS[name]();
      throw new ReferenceError(`${name} is not defined`);
    };
    return Object.assign(read, { place });
  }

  function property(object, key) {
    const place = (scope) => [object(scope), permitted(key(scope))];
    const read = (scope) => {
      const [owner, name] = place(scope);
      return within(owner[name]);
    };
    return Object.assign(read, { place });
  }

  // The page's elements lead to the window and the document, and those to everything else.
  function within(value) {
    if (value === window || value === document) throw new TypeError("An attribute may not reach the whole page.");
    return value;
  }

  function call(callee, items) {
    return (scope) => {
      const values = items.map((item) => item(scope));
      if (!callee.place) return callee(scope)(...values);
      const [owner, name] = callee.place(scope);
      return within(name in owner ? owner[name](...values) : callee(scope)(...values));
    };
  }

  const parsed = new Map();

  function parse(text) {
    if (!parsed.has(text)) parsed.set(text, new Parser(text).program());
    return parsed.get(text);
  }

  Alpine.setEvaluator((element, expression) => {
    const around = Alpine.closestDataStack(element);
    return (receive = () => {}, { scope = {}, params = [] } = {}) => {
      const data = Alpine.mergeProxies([scope, ...around]);
      try {
        const value =
          typeof expression === "function" ? expression.apply(data, params) : parse(expression)({ data, locals: {} });
        receive(typeof value === "function" ? value.apply(data, params) : value);
      } catch (error) {
        // Reported on the console, and the page's other elements go on.
        setTimeout(() => {
          throw error;
        });
      }
    };
  });
});
