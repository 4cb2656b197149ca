/** Which streams a policy or a silence is for, in words. */

export interface Match {
  signal?: string | undefined;
  service?: string | undefined;
  metric?: string | undefined;
  stream?: string | undefined;
  channels?: readonly string[] | undefined;
}

export function MatchText({ match }: { match: Match }) {
  const parts = [
    match.signal && `signal ${match.signal}`,
    match.service && `service ${match.service}`,
    match.metric && `metric ${match.metric}`,
    match.stream && `stream ${match.stream}`,
    match.channels && `channels ${match.channels.join(", ")}`,
  ].filter(Boolean);
  return <>{parts.length === 0 ? "everything" : parts.join("; ")}</>;
}
