// Package emitter calls listeners with what is emitted under a name: in this process or, over an engine, in every
// process that listens. Which of the two it is does not show in the code that emits and listens.
//
//	e := emitter.New(nil)                                      // in memory
//	e, err := emitter.Open("nats://127.0.0.1:4222", nil)       // the same, in every process
//
//	emitter.On(e, "new-user", func(ctx context.Context, u User) error {
//		return sendMail(u.Email, "welcome")
//	})
//	err = e.Emit(ctx, "new-user", User{Name: "ann", Email: "ann@example.com"})
//
// Engines are packages of their own below github.com/earshot-go/earshot/backend; a program knows those that it imports.
// docs/scaling.md says which one to take, docs/seeds.md how two emitters of Node.js that this one is modelled on are
// written here.
//
// # In memory
//
// Without Options.Bus an [Emitter] is one channel of the core runtime, which can be looked at through a tap. The data
// is passed as it is, with its references. What nobody listens to costs one look. One goroutine calls the listeners,
// while there are any.
//
// # Over a bus
//
// Data is encoded as JSON when it is emitted and decoded for each typed listener, so there are no references between
// processes, and none to what was emitted: listeners get copies, where []byte and untyped data are one copy for all of them. []byte travels as it is. A CloudEvent is what
// is sent, so that programs without this package can take part.
//
// An emitter has one goroutine that sends, and one feed while somebody listens to what is emitted, whatever the number of listeners. It
// connects by itself, again and again if need be; what is emitted meanwhile waits in a buffer. An engine broadcasts:
// every process that listens hears every event, and one that does not listen at that moment misses it, unless it asks
// for the past with Options.From or [Emitter.Timeline]. To have each event worked on once, by one of many, is what a
// queue is for, not an emitter.
//
// # Order
//
// Listeners of an event are called in the order of their registration, Prepend aside. Events are called out one after
// the other: in memory in the order in which they were emitted, over a bus as the engine brings them, which is for each
// emitter the order in which it emitted them, if the engine has bus.Caps.Ordered.
//
// # Blocking
//
// Emit does not wait for listeners, or for the engine; it waits for room: in memory while Options.Queue events wait for
// listeners, over a bus while Options.Buffer events wait for the engine and the policy is [Block]. The context ends
// that. [Emitter.EmitWait] waits for the listeners in this process, and is refused inside of a listener, where it
// would wait for itself. A listener that emits does not wait, on its own emitter: two emitters whose listeners emit to each
// other can fill both queues and then wait for each other for ever.
//
// A listener that blocks keeps the others of its emitter waiting, and in the end those who emit: Stats.Running and the
// tap page say at which line it was registered. One that returns an error, panics or calls runtime.Goexit becomes
// an error event, and the next one is called.
//
// # Once, and its limits
//
// An event that Emit has taken is sent until the engine accepts it, with one and the same ID, and engines deliver at
// least once. The emitter drops what it has heard already: it remembers the newest 32,768 to 65,536 events. So a
// listener hears an event once, however often the connection breaks, unless a copy comes after that many others.
// The memory is that of one feed of one emitter: when a process starts again, Options.From with a token may bring events
// that came just before it once more. An event that is not accepted before the process ends by force is lost with
// its buffer: Emit means that it is in the buffer, [Emitter.Flush] and [Emitter.EmitWait] that it has been accepted. What an engine
// makes of accepted events when a disk or a machine fails is its own affair: bus.Caps and its package say.
//
// # Events of the emitter
//
// [Connect], [Disconnect], [Reconnect], [Error], [Gap] and [Drop] tell of the emitter itself. They stay in the process, and
// nobody else can emit them. Errors, gaps and drops that nobody listens to are logged.
//
// # Loss
//
// What can be known to be lost is told. When a feed breaks, another one goes on behind the last event; what the engine does
// not keep any more, or never kept, is a Gap. The feed begins with the first listener of a name that is not the
// emitter's own: with Options.From the listener that must not miss anything has to be the first of them. Over an engine without bus.Caps.Replay everything that is published
// while a feed is away is lost, and a Gap says so. What the policies [DropOldest] and [DropNewest] or
// [Emitter.Discard] drop is a Drop. [Emitter.Close] waits for the engine as long as its context lets it, and returns how many events
// were not sent.
//
// # Buffer and spill
//
// The buffer is bounded in events and in bytes. Options.Spill takes what does not fit to a disk, oldest first, where it
// survives the process, and is sent before the rest; without one, Options.Overflow decides.
package emitter
