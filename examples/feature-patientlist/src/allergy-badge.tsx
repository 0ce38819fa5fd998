import { mountFacet, type FacetHandle } from '@favn/feature-sdk';
import { useEffect, useRef } from 'react';

interface Props {
  patientId: string;
  view?: 'badge' | 'list';
}

/** The facet of another team, which owns what an allergy looks like. */
export function AllergyBadge({ patientId, view = 'badge' }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const facet = useRef<FacetHandle<Props> | null>(null);

  useEffect(() => {
    const props = { patientId, view };
    if (facet.current) facet.current.update(props);
    else if (place.current) facet.current = mountFacet('allergybadge', place.current, props);
  }, [patientId, view]);

  useEffect(
    () => () => {
      facet.current?.unmount();
      facet.current = null;
    },
    [],
  );

  return <div className={`patients-allergy patients-allergy-${view}`} ref={place} />;
}
