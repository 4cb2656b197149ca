/** What the method cannot do, as bundles say it. */
export const methodLimits: readonly string[] = [
  "Driftlock compares records with the history of their own stream. It says that something is unusual there, and not that it is harmful, nor that what is usual is right.",
  "It sees only the telemetry that it receives. What is not instrumented, was sampled away before, or was sent to others leaves no trace in it.",
  "A stream must be learned before anything in it can be unusual. While it learns, and in streams that are rarely active, much is missed.",
  "What changes slowly enough is learned as usual, and what was already wrong while the stream was learned counts as usual.",
  "Alarm limits follow from a budget of alarms per day. Verdicts beyond the budget are withheld and counted, and of several at once only some raise an alarm.",
  "A score is a measure of rarity by the stream's own history. The probability that it is given holds for data like that history, and not for every kind of change.",
  "The likeliest cause of an incident is a ranking by unusual time and failures along the calls that were traced. It is a lead for a person, and no proof.",
  "What an incident is compared with, such as how often the tenant has such evidence, and what the service graph has learned as usual depend on all records before it. They are contained as they were, and signed. So are reports of an anomaly that show nothing new, which depend on all records in between.",
  "The digests and signatures show that this bundle has not been altered since it was made. They do not show that the telemetry was true.",
];
